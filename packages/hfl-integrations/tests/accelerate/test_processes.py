"""Two processes on gloo: each goes on with its own batches, and none is read twice or left out."""

from __future__ import annotations

import signal

import pytest

# 26 rows make seven batches, four for each process: the last ones are filled up from the first.
CASES = {
    "shuffle, each process with a seed of its own": {"device_specific": True},
    "seedable, split batches": {"use_seedable_sampler": True, "split_batches": True},
    "two workers": {"workers": 2},
    "stateful loader": {"stateful": True},
    "batch sampler that follows the epoch": {
        "sampler": "by epoch",
        "even_batches": False,
        "rows": 24,
    },
    "accumulation": {"accumulate": 2, "rows": 32},
}


@pytest.mark.parametrize("case", CASES)
def test_two_processes_that_are_killed_twice_end_with_the_bits_of_two_that_were_not(
    run, uninterrupted, continues, case
) -> None:
    common = {"ranks": 2, "save_at": [2, 4, 6], **CASES[case]}
    whole = uninterrupted(**common)
    killed = {"directory": "killed", "expect": signal.SIGKILL, **common}
    run(signal_at=(3, "SIGKILL"), **killed)
    run(signal_at=(5, "SIGKILL"), **killed)
    resumed = run(directory="killed", **common)
    for mine, its in zip(resumed, whole):
        continues(mine, its)
        assert mine["loaded"][1] == (2 if "accumulate" in common else 4)
    assert resumed[0]["seen"] != resumed[1]["seen"]
    assert resumed[0]["parameters"] == resumed[1]["parameters"]


def test_a_signal_to_one_of_two_processes_stops_both_at_the_same_step(
    run, uninterrupted, continues
) -> None:
    common = {"ranks": 2, "due": True, "options": {"save": "OnSignal()"}}
    whole = uninterrupted(**common)
    stopped = run(directory="run", signal_at=(3, "SIGTERM", 1), **common)
    assert [each["total"] for each in stopped] == [4, 4]
    assert [each["is_preempted"] for each in stopped] == [True, True]
    for mine, its in zip(run(directory="run", **common), whole):
        continues(mine, its)


def test_another_number_of_processes_is_refused(run) -> None:
    run(directory="run", ranks=2, save_at=[2], stop_at=2)
    report = run(directory="run", fails=True)
    assert report["seen"] == []
    assert report["error"]["type"] == "WorldSizeError"


def test_batches_that_the_first_process_dispatches_are_saved_between_epochs(
    run, uninterrupted, continues
) -> None:
    common = {"ranks": 2, "dispatch_batches": True, "save_epochs": True, "epochs": 2, "rows": 32}
    whole = uninterrupted(**common)
    run(directory="run", signal_at=(6, "SIGKILL"), expect=signal.SIGKILL, **common)
    for mine, its in zip(run(directory="run", **common), whole):
        continues(mine, its)
    for report in run(directory="other", fails=True, save_at=[2], **common):
        assert "the first process reads ahead" in report["error"]["text"]


def test_what_accelerate_saved_from_two_processes_is_gone_on_from(run) -> None:
    run(save_stock="stock", epochs=1, ranks=2)
    for report in run(directory="run", load="stock", epochs=1, ranks=2, save_epochs=True):
        assert report["loaded"][0] == "stock"
        assert [each["step"] for each in report["checkpoints"]] == [8]
