"""Two processes with DistributedDataParallel, as torchrun would start them."""

from __future__ import annotations

import signal

import pytest

EVERY_3 = {"save": "EverySteps(3)", "keep": "KeepLast(2)"}


@pytest.mark.parametrize(
    "args",
    [
        {},
        {
            "eval_strategy": "epoch",
            "gradient_accumulation_steps": 2,
            "num_train_epochs": 6,
            "dataloader_num_workers": 1,
        },
    ],
    ids=["plain", "accumulation, evaluation, a worker"],
)
def test_two_processes_that_are_killed_twice_end_with_the_bits_of_two_that_were_not(
    run, args
) -> None:
    common = {"args": args, "rows": 48, "ranks": 2}
    alone = run(output="alone", **common)
    whole = run(directory="whole", options=EVERY_3, **common)
    killed = {"directory": "killed", "options": EVERY_3, "resume": True}
    both = [signal.SIGKILL] * 2
    assert run(signal_at=(5, "SIGKILL"), expect=both, **killed, **common) == [None, None]
    assert run(signal_at=(11, "SIGKILL"), expect=both, **killed, **common) == [None, None]
    resumed = run(**killed, **common)
    for rank in (0, 1):
        assert resumed[rank]["steps"] == whole[rank]["steps"] - 9
        for name in ("model", "optimizer", "history"):
            assert resumed[rank][name] == whole[rank][name] == alone[rank][name], (rank, name)
        assert resumed[rank]["counted"] == whole[rank]["steps"]
    assert resumed[0]["model"] == resumed[1]["model"]
    assert resumed[0]["checkpoints"] == resumed[1]["checkpoints"]


def test_sigterm_to_one_of_two_saves_the_same_step_and_stops_both(run) -> None:
    options = {"save": "EverySteps(100) | OnSignal('SIGTERM')"}
    common = {"directory": "run", "rows": 48, "ranks": 2, "options": options}
    stopped = run(signal_at=(4, "SIGTERM", 1), **common)
    assert [item["step"] for item in stopped] == [4, 4]
    assert [item["is_preempted"] for item in stopped] == [True, True]
    assert [item["checkpoints"][-1]["reason"] for item in stopped] == ["preemption"] * 2
    whole = run(**{**common, "directory": "whole"})
    resumed = run(resume=True, **common)
    for rank in (0, 1):
        assert resumed[rank]["model"] == whole[rank]["model"]


def test_the_best_model_is_loaded_on_both(run) -> None:
    args = {
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "save_total_limit": 1,
        "learning_rate": 0.3,
    }
    found = run(directory="run", args=args, rows=48, ranks=2)
    assert found[0]["model"] == found[1]["model"]
    assert found[0]["best"] == found[1]["best"] is not None


def test_another_number_of_processes_is_said_before_anything_is_restored(run) -> None:
    common = {"directory": "run", "rows": 48, "options": EVERY_3}
    run(ranks=2, args={"max_steps": 3}, **common)
    refused = run(resume=True, fails=True, **common)
    assert refused["error"]["type"] == "IncompatibleStateError"
    assert "the number of processes was 2 and is 1" in refused["error"]["text"]
    options = {**EVERY_3, "on_change": "override"}
    went_on = run(resume=True, **{**common, "options": options})
    assert went_on["error"] is None
    assert any("the number of processes was 2 and is 1" in text for text in went_on["messages"])
