"""The callback is a ModelCheckpoint: the same arguments, names and choices."""

from __future__ import annotations

import pytest

SCORES = [0.5, 0.3, 0.4, 0.2, 0.6]
PLAIN = {"plain": True, "shuffle": False, "scores": SCORES, "trainer": {"max_epochs": 5}}

ARGUMENTS = {
    "nothing": {},
    "the best": {"monitor": "score"},
    "the best two, highest first": {"monitor": "score", "save_top_k": 2, "mode": "max"},
    "a pattern with metrics": {
        "monitor": "score",
        "filename": "digits-{epoch:02d}-{score:.2f}",
        "save_top_k": -1,
    },
    "a pattern as it is": {
        "filename": "e{epoch}-s{score:.1f}",
        "auto_insert_metric_name": False,
        "save_top_k": -1,
    },
    "every second epoch": {"every_n_epochs": 2, "save_top_k": -1},
    "steps": {"every_n_train_steps": 8, "save_top_k": -1},
    "steps, by a metric of the validation": {
        "every_n_train_steps": 4,
        "monitor": "score",
        "save_top_k": 2,
    },
    "at the end of the training epoch": {
        "save_on_train_epoch_end": True,
        "monitor": "train_loss_epoch",
        "save_top_k": 2,
    },
    "at the end of the validation": {"save_on_train_epoch_end": False, "monitor": "score"},
    "time": {"train_time_interval": "=timedelta(microseconds=1)", "save_top_k": -1},
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_it_keeps_what_model_checkpoint_keeps_under_the_same_names(run, case, tmp_path) -> None:
    arguments = ARGUMENTS[case]
    stock = run(
        stock={"dirpath": "stock", **arguments},
        then=[
            "report['best'] = trainer.checkpoint_callback.best_model_path.rpartition('/')[2]",
            "report['scores'] = {path.rpartition('/')[2]: float(score) for path, score in "
            "trainer.checkpoint_callback.best_k_models.items()}",
        ],
        **PLAIN,
    )
    ours = run(directory="ours", callback=arguments, **PLAIN)
    there = {path.name for path in (tmp_path / "stock").iterdir()}
    here = {item["name"] for item in ours["checkpoints"]}
    newest = ours["checkpoints"][-1]["name"]
    # The newest one always stays, as that is where a run goes on from.
    assert here - {newest} == there - {newest}
    assert (ours["best"], ours["scores"]) == (stock["best"], stock["scores"])


@pytest.mark.parametrize("save_last", [True, "link"])
def test_last_is_the_last_one_and_best_the_best(run, save_last) -> None:
    ours = run(
        directory="ours",
        callback={"monitor": "score", "save_last": save_last},
        test="best",
        **PLAIN,
    )
    assert [(item["step"], item["epoch"]) for item in ours["checkpoints"]] == [(28, 4), (35, 5)]
    assert ours["best"] == ours["checkpoints"][0]["name"]
    assert ours["last"] == ours["checkpoints"][1]["name"]
    assert ours["checkpoints"][0]["metrics"]["score"] == pytest.approx(0.2)
    assert ours["tested"] != ours["model"]
    assert ("save_last='link'" in str(ours["messages"])) == (save_last == "link")


def test_without_steps_or_best_ones_the_last_is_saved_when_training_ends(run) -> None:
    ours = run(directory="ours", callback={"save_top_k": 0, "save_last": True}, **PLAIN)
    assert [item["step"] for item in ours["checkpoints"]] == [35]
    assert ours["last"] == ours["checkpoints"][0]["name"]


def test_what_was_best_is_known_after_a_resume_and_after_a_move(run, tmp_path) -> None:
    settings = {
        "plain": True,
        "scores": SCORES,
        "callback": {"monitor": "score", "save_last": True},
    }
    run(directory="here", trainer={"max_epochs": 3}, **settings)
    (tmp_path / "here").rename(tmp_path / "there")
    again = run(
        directory="there", trainer={"max_epochs": 3}, resume="last", test="best", **settings
    )
    assert again["steps"] == 0
    assert again["best"] == "epoch=1-step=14.ckpt"
    assert again["scores"] == {"epoch=1-step=14.ckpt": pytest.approx(0.3)}
    on = run(directory="there", trainer={"max_epochs": 5}, resume="last", **settings)
    assert [item["step"] for item in on["checkpoints"]] == [28, 35]
    assert on["best"] == "epoch=3-step=28.ckpt"


def test_no_path_of_this_machine_is_in_a_checkpoint(run, tmp_path) -> None:
    run(directory="run", callback={"monitor": "score", "save_last": True}, **PLAIN)
    for path in (tmp_path / "run").rglob("*.json"):
        assert str(tmp_path) not in path.read_text(), path


def test_one_name_for_all_gets_a_number_as_nothing_is_overwritten(run) -> None:
    arguments = {"filename": "model", "enable_version_counter": False}
    ours = run(directory="ours", callback=arguments, **PLAIN)
    assert [item["step"] for item in ours["checkpoints"]] == [35]
    assert ours["best"] == ours["checkpoints"][0]["name"]
    assert ours["best"].startswith("model")
    assert "enable_version_counter=False gives way" in str(ours["messages"])


def test_a_policy_saves_more_and_another_keeps_more(run) -> None:
    more = {"save": "=EverySteps(10)", "keep": "=KeepEvery(steps=10)", "monitor": "score"}
    ours = run(directory="ours", callback=more, **PLAIN)
    assert [item["step"] for item in ours["checkpoints"]] == [10, 20, 28, 30]
    assert ours["best"] == "epoch=3-step=28.ckpt"


def test_a_metric_that_never_appears_is_named_in_the_words_of_model_checkpoint(run) -> None:
    found = run(directory="ours", callback={"monitor": "accuracy"}, fails=True, **PLAIN)
    assert found["error"]["type"] == "MisconfigurationException"
    assert "could not find the monitored key" in found["error"]["text"]
    assert "accuracy" in found["error"]["text"]
