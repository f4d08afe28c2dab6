"""A run that is killed and resumed ends with the bits of one that was not, without skip_first_batches."""

from __future__ import annotations

import signal

import pytest

# Seven batches make an epoch: the saves stand in the middle of one, and with its last batch in hand.
CASES = {
    "shuffle": {},
    "shuffle, two workers": {"workers": 2},
    "seedable": {"use_seedable_sampler": True},
    "seedable, persistent workers": {
        "use_seedable_sampler": True,
        "workers": 2,
        "persistent": True,
    },
    "stateful loader": {"stateful": True},
    "stateful loader, seedable": {"stateful": True, "use_seedable_sampler": True},
    "weighted, with a generator": {"sampler": "weighted"},
    "batch sampler that follows the epoch": {"sampler": "by epoch", "rows": 20},
    "stream, which is dispatched": {"sampler": "stream"},
    "accumulation": {"accumulate": 2, "rows": 28, "use_seedable_sampler": True},
    "language model, bf16": {"model": "language", "precision": "bf16"},
    "scaler": {"scaler": True, "optimizer": "SGD"},
    "LBFGS": {"optimizer": "LBFGS"},
}
SAVES = [4, 7, 8, 14]


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_killed_twice_ends_with_the_bits_of_one_that_was_not(
    run, uninterrupted, continues, case
) -> None:
    common = {"save_at": SAVES, **CASES[case]}
    if "accumulate" in common:
        common["save_at"] = [4, 7, 9, 14]  # the last batch of an epoch ends a window
    whole = uninterrupted(**common)
    killed = {"directory": "killed", "expect": signal.SIGKILL, **common}
    assert run(signal_at=(5, "SIGKILL"), **killed) is None  # goes on from 4
    assert (
        run(signal_at=(7, "SIGKILL"), **killed) is None
    )  # with the last batch of the epoch in hand
    assert run(signal_at=(16, "SIGKILL"), **killed) is None  # from 14, the last batch of an epoch
    resumed = run(directory="killed", **common)
    continues(resumed, whole)
    assert resumed["scaler"] == whole["scaler"]
    assert len(resumed["seen"]) == len(whole["seen"]) - 14
    # What follows an epoch was still to come, and came.
    assert resumed["evaluated"] == whole["evaluated"][2:]


@pytest.mark.parametrize(
    ("seedable", "save_at"), [(False, 1), (True, 3), (False, 6), (True, 7), (False, 8)]
)
def test_a_save_anywhere_in_an_epoch_is_gone_on_from_exactly(
    run, uninterrupted, continues, save_at, seedable
) -> None:
    common = {"use_seedable_sampler": seedable, "epochs": 2}
    whole = uninterrupted(save_at=[1, 3, 6, 7, 8], **common)
    run(directory="run", save_at=[save_at], stop_at=save_at, **common)
    continues(run(directory="run", **common), whole)


@pytest.mark.parametrize(
    "case", ["shuffle", "seedable, persistent workers", "stream, which is dispatched"]
)
def test_a_save_between_two_epochs_is_gone_on_from_exactly(
    run, uninterrupted, continues, case
) -> None:
    common = {"save_epochs": True, **CASES[case]}
    whole = uninterrupted(**common)
    run(directory="run", signal_at=(9, "SIGKILL"), expect=signal.SIGKILL, **common)
    resumed = run(directory="run", **common)
    continues(resumed, whole)
    assert len(resumed["seen"]) == 14
    assert [item["epoch"] for item in resumed["checkpoints"]] == [1, 2, 3]


def test_with_a_seedable_sampler_the_order_is_accelerates_own(run) -> None:
    alone = run(use_seedable_sampler=True)
    ours = run(use_seedable_sampler=True, directory="run")
    assert [ids for _, ids, _ in ours["seen"]] == [ids for _, ids, _ in alone["seen"]]


def test_another_seed_in_the_next_process_changes_nothing(run, uninterrupted, continues) -> None:
    for seedable in (False, True):
        common = {"use_seedable_sampler": seedable, "save_at": [4]}
        name = f"run {seedable}"
        run(directory=name, stop_at=5, **common)
        continues(run(directory=name, seed=8, **common), uninterrupted(**common))


def test_a_run_that_is_over_goes_through_no_batch(run) -> None:
    whole = run(directory="run", save_epochs=True)
    again = run(directory="run", save_epochs=True)
    assert again["seen"] == []
    assert again["model"] == whole["model"]
    assert again["step"] == whole["step"] == 21
