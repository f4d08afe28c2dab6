"""What the Trainer's own settings do once the callback has taken over."""

from __future__ import annotations

import json
import signal
from importlib.metadata import version
from pathlib import Path

import pytest

IS_NEW = int(version("transformers").split(".")[0]) >= 5
EVALUATED = {"eval_strategy": "steps", "eval_steps": 2, "metric_for_best_model": "eval_loss"}
UNSTEADY = {"learning_rate": 0.5, "lr_scheduler_type": "constant"}  # some evaluations are worse


def _steps(report) -> list:
    return [item["step"] for item in report["checkpoints"]]


def test_the_trainer_s_own_strategy_and_limit_are_followed_without_policies(run, tmp_path) -> None:
    args = {"save_strategy": "steps", "save_steps": 4, "save_total_limit": 2, "max_steps": 10}
    report = run(directory="run", args=args)
    assert _steps(report) == [8, 10]
    assert [item["reason"] for item in report["checkpoints"]] == ["interval", "final"]
    assert report["saves"] == [4, 8, 10]
    assert list(Path(tmp_path / "out").glob("checkpoint-*")) == []
    assert report["settings"][1] == 2  # they are the user's again after training
    assert not [text for text in report["messages"] if "taken over" in text]


def test_the_best_and_the_last_checkpoint_stay_whatever_the_limit(run) -> None:
    args = {
        **EVALUATED,
        "save_strategy": "steps",
        "save_steps": 2,
        "save_total_limit": 1,
        "max_steps": 12,
        **UNSTEADY,
        "load_best_model_at_end": True,
    }
    report = run(directory="run", args=args)
    history = {
        entry["step"]: entry["eval_loss"] for entry in report["history"] if "eval_loss" in entry
    }
    best = min(history, key=history.get)
    assert best != 12, "the test needs a run that gets worse"
    assert _steps(report) == [best, 12]
    assert report["best"].endswith(report["checkpoints"][0]["name"])
    assert not any("was not restored" in text for text in report["messages"])
    again = run(directory="run", args=args, resume=True)
    assert again["steps"] == 0
    assert again["model"] == report["model"]  # the best one's, not the last one's


def test_policies_take_the_place_of_settings_and_one_warning_says_so(run) -> None:
    args = {
        "save_strategy": "epoch",
        "save_total_limit": 1,
        "max_steps": 6,
        "save_only_model": True,
    }
    options = {"save": "EverySteps(2)", "keep": "KeepAll()"}
    report = run(directory="run", args=args, options=options)
    assert _steps(report) == [2, 4, 6]
    assert report["saves"] == [2, 4, 6]
    warnings = [text for text in report["messages"] if "has taken over" in text]
    assert len(warnings) == 1
    assert warnings[0].startswith("WARNING")
    for setting in ("save_strategy='epoch'", "save_total_limit=1", "save_only_model=True"):
        assert f"{setting} gives way" in warnings[0]
    assert "EPOCH" in report["settings"][0].upper()


def test_saving_the_best_only_saves_the_best_only(run) -> None:
    options = {"save": "OnBest('eval_loss')"}
    args = {**EVALUATED, "max_steps": 8, **UNSTEADY}
    report = run(directory="run", args=args, options=options)
    best = None
    for item in report["checkpoints"][:-1]:
        assert best is None or item["metrics"]["eval_loss"] < best
        best = item["metrics"]["eval_loss"]
    assert report["checkpoints"][-1]["reason"] in ("best", "final")


@pytest.mark.skipif(not IS_NEW, reason="this version has no save_strategy='best'")
def test_the_trainer_s_own_best_strategy_is_followed(run) -> None:
    args = {**EVALUATED, "save_strategy": "best", "max_steps": 8, **UNSTEADY}
    report = run(directory="run", args=args)
    losses = {
        entry["step"]: entry["eval_loss"] for entry in report["history"] if "eval_loss" in entry
    }
    better = [
        step for step in losses if losses[step] == min(losses[s] for s in losses if s <= step)
    ]
    assert [item["step"] for item in report["checkpoints"] if item["reason"] == "best"] == better
    assert report["checkpoints"][-1]["step"] == 8


def test_epochs_are_counted_when_they_are_over(run) -> None:
    report = run(
        directory="run", options={"save": "EveryEpochs(1)"}, args={"eval_strategy": "epoch"}
    )
    assert [(item["step"], item["epoch"]) for item in report["checkpoints"]] == [
        (7, 1),
        (14, 2),
        (21, 3),
    ]
    assert all("eval_loss" in item["metrics"] for item in report["checkpoints"])


def test_nothing_is_saved_where_nothing_asks_for_it_and_a_warning_says_so(run) -> None:
    report = run(directory="run", args={"save_strategy": "no", "max_steps": 3})
    assert report["checkpoints"] == []
    assert any("nothing will be saved" in text for text in report["messages"])


@pytest.mark.parametrize("patience", [[2], [2, 3]])
def test_early_stopping_stops_at_the_same_step_over_a_resume_and_stays_stopped(
    run, patience
) -> None:
    # Old versions want load_best_model_at_end for early stopping.
    best = {"load_best_model_at_end": True, "save_steps": 2}
    args = {**EVALUATED, **UNSTEADY, **best, "num_train_epochs": 6}
    common = {"args": args, "patience": patience}
    alone = run(output="alone", **common)
    assert alone["step"] < 42, "the test needs a run that stops early"
    options = {"save": "EverySteps(2)"}
    whole = run(directory="whole", options=options, **common)
    stop = alone["step"]
    assert whole["step"] == stop
    run(
        directory="killed",
        options=options,
        signal_at=(stop - 1, "SIGKILL"),
        expect=signal.SIGKILL,
        **common,
    )
    resumed = run(directory="killed", options=options, resume=True, **common)
    assert resumed["step"] == stop
    assert resumed["steps"] == 2
    assert resumed["model"] == whole["model"]
    assert resumed["patience"] == whole["patience"] == alone["patience"]
    again = run(directory="killed", options=options, resume=True, **common)
    assert again["steps"] == 0
    assert again["step"] == stop
    states = json.loads((Path(_path(resumed)) / "state" / "trainer.json").read_text())
    assert json.dumps(states).count("early_stopping_patience_counter") == 2 * len(patience)


def _path(report) -> str:
    return str(Path(report["best"]).parent / report["checkpoints"][-1]["name"])


def test_a_signal_saves_the_step_stops_and_the_run_ends_as_if_nothing_had_been(run) -> None:
    options = {"save": "EverySteps(100) | OnSignal()"}
    args = {"eval_strategy": "epoch"}
    whole = run(directory="whole", args=args, options=options)
    stopped = run(directory="run", args=args, options=options, signal_at=(4, "SIGTERM"))
    assert stopped["is_preempted"]
    assert stopped["step"] == 4
    assert [(item["step"], item["reason"]) for item in stopped["checkpoints"]] == [
        (4, "preemption")
    ]
    assert not any("eval_loss" in entry for entry in stopped["history"])
    resumed = run(directory="run", args=args, options=options, resume=True)
    assert not resumed["is_preempted"]
    for name in ("model", "optimizer", "history"):
        assert resumed[name] == whole[name]


@pytest.mark.skipif(not IS_NEW, reason="this version has no enable_jit_checkpoint")
def test_checkpoints_on_sigterm_are_written_once_and_by_the_manager(run, tmp_path) -> None:
    args = {"enable_jit_checkpoint": True, "save_steps": 100}
    stopped = run(directory="run", args=args, signal_at=(4, "SIGTERM"))
    assert [(item["step"], item["reason"]) for item in stopped["checkpoints"]] == [
        (4, "preemption")
    ]
    assert stopped["saves"] == [4]
    assert list((tmp_path / "out").glob("*")) == []
    whole = run(directory="whole", args=args)
    resumed = run(directory="run", args=args, resume=True)
    assert resumed["model"] == whole["model"]
    killed = {"directory": "other", "args": {"save_steps": 100}, "signal_at": (4, "SIGTERM")}
    run(expect=signal.SIGTERM, **killed)  # without it the signal does what it always does


def test_no_token_is_in_any_file(run, tmp_path) -> None:
    args = {"hub_token": "hf_" + "a" * 34, "max_steps": 3}
    run(directory="run", args=args, options={"save": "EverySteps(2)"}, save_model=True)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "training_args.bin" for path in files)
    assert not [path for path in files if args["hub_token"].encode() in path.read_bytes()]
    assert not [
        path
        for path in files
        if str(tmp_path).encode() in path.read_bytes() and "run" in path.parts
    ]


def test_the_trainer_goes_on_from_what_it_wrote_before_and_the_other_way_round(
    run, tmp_path
) -> None:
    stock = {"save_strategy": "steps", "save_steps": 5, "max_steps": 15, "save_total_limit": 1}
    whole = run(output="whole", args={**stock, "save_total_limit": None})
    before = str(tmp_path / "whole" / "checkpoint-5")
    ours = run(
        directory="run",
        output="whole",
        args={**stock, "save_total_limit": None},
        options={"save": "EverySteps(4)"},
        resume=before,
        export=(12, str(tmp_path / "stock")),
    )
    assert ours["steps"] == 10
    assert ours["model"] == whole["model"]
    assert ours["optimizer"] == whole["optimizer"]
    assert len(list((tmp_path / "whole").glob("checkpoint-*"))) == 3  # none of its own is deleted
    alone = run(output="alone", args=stock, resume=ours["exported"])
    assert alone["steps"] == 3
    assert alone["model"] == whole["model"]
    assert alone["optimizer"] == whole["optimizer"]


def test_a_trainer_without_the_callback_refuses_what_it_cannot_restore_whole(run, tmp_path) -> None:
    run(directory="run", args={"max_steps": 4}, options={"save": "EverySteps(2)"})
    failed = run(output="alone", resume=str(tmp_path / "run" / "step-00000004"), fails=True)
    assert "trainer_state.json" in failed["error"]["text"]


def test_a_path_a_name_and_the_best_can_be_gone_on_from(run, tmp_path) -> None:
    args = {**EVALUATED, "max_steps": 8}
    options = {"save": "EverySteps(2)"}
    whole = run(directory="run", args=args, options=options)
    path = str(tmp_path / "run" / "step-00000004")
    other = run(directory="other", args=args, options=options, resume=path)
    assert other["steps"] == 4
    assert other["model"] == whole["model"]
    named = run(directory="run", args=args, options=options, resume="step-00000006")
    assert named["steps"] == 2
    best = run(directory="run", args=args, options=options, resume="best:eval_loss")
    assert best["step"] == 8


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_workers_outlive_a_signal_to_the_whole_group_so_that_the_step_is_saved(run, name) -> None:
    report = run(
        directory="run",
        args={"dataloader_num_workers": 2},
        options={"save": f"EverySteps(100) | OnSignal('{name}')"},
        signal_at=(4, name),
        to_group=True,
    )
    assert [(item["step"], item["reason"]) for item in report["checkpoints"]] == [(4, "preemption")]
