"""What is refused, and in which words."""

from __future__ import annotations

import pytest

QUICK = {"trainer": {"max_epochs": 1}, "plain": True}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"save_top_k": -2}, "Invalid value for save_top_k=-2. Must be >= -1"),
        ({"mode": "best"}, "`mode` can be min, max but got best"),
        ({"save_top_k": 3}, "No quantity for top_k to track"),
        ({"every_n_epochs": 1, "every_n_train_steps": 2}, "should be mutually exclusive"),
        ({"every_n_steps": 2}, "LifecycleCheckpoint has no argument 'every_n_steps'"),
        ({"naming": "{step}"}, "Use filename="),
        ({"directory": "x"}, "Use dirpath="),
        ({"on_change": "keep"}, "There is no on_change='keep'"),
        ({"when_busy": "never"}, "when_busy"),
        ({"hub_keep": "=KeepLast(1)"}, "hub"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused_before_anything_runs(
    run, arguments, words
) -> None:
    if "directory" in arguments:
        found = run(callback={"directory": "x"}, fails=True, **QUICK)
    else:
        found = run(directory="run", callback=arguments, fails=True, **QUICK)
    assert words in found["error"]["text"]
    assert "step" not in found


def test_a_directory_on_another_file_system_is_refused(run) -> None:
    found = run(directory="s3://bucket/run", fails=True, **QUICK)
    assert "not on a local file system" in found["error"]["text"]


def test_a_batch_size_that_changed_is_refused_and_can_be_overridden(run) -> None:
    settings = {"directory": "run", "callback": {"every_n_train_steps": 5, "save_top_k": -1}}
    run(**settings, **QUICK)
    changed = {**QUICK, "batch_size": 2, "resume": "last"}
    found = run(fails=True, **settings, **changed)
    assert "batch size was 4 and is 2" in found["error"]["text"]
    assert found["steps"] == 0
    settings["callback"]["on_change"] = "override"
    found = run(**settings, **changed)
    assert len(found["ids"]) == 26 - 20


def test_accumulation_that_changed_within_an_epoch_is_refused(run) -> None:
    settings = {"directory": "run", "callback": {"every_n_train_steps": 5, "save_top_k": -1}}
    run(**settings, **QUICK)
    found = run(
        trainer={"max_epochs": 1, "accumulate_grad_batches": 2},
        plain=True,
        resume="last",
        fails=True,
        **settings,
    )
    assert "accumulate_grad_batches was 1 and is 2" in found["error"]["text"]


def test_another_model_is_refused_as_lightning_refuses_it(run) -> None:
    run(directory="run", **QUICK)
    found = run(directory="run", resume="last", fails=True, drops="net.0", optimizer="sgd", **QUICK)
    assert found["error"]["type"] in ("StateMismatchError", "ValueError", "KeyError")


def test_weights_alone_cannot_be_resumed_from_and_that_is_said_at_the_start(run) -> None:
    settings = {"directory": "run", "callback": {"save_weights_only": True}}
    first = run(**settings, **QUICK)
    assert "cannot be resumed from" in str(first["messages"])
    assert first["checkpoints"][0]["components"] == ["model", "lightning"]
    found = run(resume="last", fails=True, **settings, **QUICK)
    assert "checkpoint contains only the model" in found["error"]["text"]


def test_a_checkpoint_of_something_else_is_refused(run, tmp_path) -> None:
    import torch

    from hfl_checkpoint import CheckpointManager

    with CheckpointManager(tmp_path / "other") as manager:
        manager.save(3, model=torch.nn.Linear(1, 1))
    found = run(directory="run", resume=str(tmp_path / "other"), fails=True, **QUICK)
    assert "was not saved by Lightning" in found["error"]["text"]


def test_another_model_checkpoint_beside_it_is_told_of(run) -> None:
    found = run(directory="run", stock={"dirpath": "stock"}, **QUICK)
    assert "ModelCheckpoint saves beside it" in str(found["messages"])
    found = run(directory="same", stock={"dirpath": "same"}, **QUICK)
    assert "saves into the same directory" in str(found["messages"])


def test_the_last_of_nothing_begins_anew_with_lightnings_own_warning(run, tmp_path) -> None:
    found = run(directory="run", resume="last", **QUICK)
    assert found["steps"] == 7
    assert (tmp_path / "run" / "run.json").is_file()


def test_hyperparameters_that_no_checkpoint_holds_are_named_and_left_out(run) -> None:
    found = run(directory="run", trainer={"max_epochs": 1})
    assert "hyper_parameters.loss (builtins.function)" in str(found["messages"])
