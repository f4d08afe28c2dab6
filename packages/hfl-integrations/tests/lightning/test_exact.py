"""A run that is killed and resumed ends with the bits of one that was not."""

from __future__ import annotations

import signal
from importlib.metadata import version

import pytest

EVERY_3 = {"every_n_train_steps": 3, "save_top_k": -1}
AVERAGES = version("lightning") >= "2.6"
SAME = ("model", "optimizer", "scaler", "lr", "metrics", "logged_step", "step", "epoch", "counted")

CASES = {
    "shuffled": {},
    "two workers, one cycle": {"workers": 2, "optimizer": "sgd", "schedule": "cycle"},
    "persistent workers everywhere": {
        "workers": 1,
        "persistent": True,
        "validation_workers": 1,
        "trainer": {"max_epochs": 2},
    },
    "accumulation, plateau": {
        "trainer": {"accumulate_grad_batches": 2, "max_epochs": 5},
        "schedule": "plateau",
    },
    "weighted sampler, validation within the epoch": {
        "sampler": "weighted",
        "trainer": {"val_check_interval": 2},
    },
    "two loaders of different lengths": {"sampler": "two"},
    "a limited number of batches": {"trainer": {"limit_train_batches": 5, "max_epochs": 4}},
    "counted in steps": {"trainer": {"max_steps": 17, "max_epochs": -1}},
    "two optimizers by hand": {"manual": True, "optimizer": "two", "validates": False},
    "loaders made anew, data that have a state": {
        "datamodule": True,
        "trainer": {"reload_dataloaders_every_n_epochs": 1},
    },
    "a stream with a state, whose end nobody knows": {"sampler": "stateful stream"},
    "a loader with a state": {"sampler": "stateful loader"},
    # What its workers draw begins anew with them: torchdata saves no streams.
    "a loader with a state, workers": {"sampler": "stateful loader", "workers": 1, "plain": True},
    "a scaler that shrinks": {"scaler": True},
    "averaged weights": {"averages": True},
    "a metric that is an object": {"metric": True, "trainer": {"max_epochs": 2}},
    "no validation before the start": {
        "trainer": {"num_sanity_val_steps": 0, "check_val_every_n_epoch": 2, "max_epochs": 4}
    },
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_killed_twice_ends_with_the_bits_of_one_that_was_not(run, case) -> None:
    if "averages" in CASES[case] and not AVERAGES:
        pytest.skip("this version has no WeightAveraging")
    settings = {"callback": EVERY_3, **CASES[case]}
    whole = run(directory="whole", **settings)
    killed = {"directory": "killed", "resume": "last", "expect": signal.SIGKILL, **settings}
    assert run(signal_at=(5, "SIGKILL"), **killed) is None
    assert run(signal_at=(11, "SIGKILL"), **killed) is None
    resumed = run(directory="killed", resume="last", **settings)
    for name in SAME:
        assert resumed[name] == whole[name], name
    assert resumed["ids"] == whole["ids"][-len(resumed["ids"]) :]
    assert len(resumed["ids"]) < len(whole["ids"])


@pytest.mark.parametrize("step", [7, 8, 13, 14])
def test_a_save_at_the_end_or_the_beginning_of_an_epoch_is_exact(run, step) -> None:
    settings = {"callback": {"save": f"=AtSteps({step})", "save_top_k": 0}}
    whole = run(directory="whole", **settings)
    run(directory="killed", signal_at=(step + 1, "SIGKILL"), expect=signal.SIGKILL, **settings)
    resumed = run(directory="killed", resume="last", **settings)
    assert resumed["steps"] == whole["steps"] - step
    for name in SAME:
        assert resumed[name] == whole[name], name


def test_our_callback_changes_nothing_where_nothing_is_random(run) -> None:
    settings = {"shuffle": False, "plain": True}
    alone = run(**settings)
    whole = run(directory="whole", callback={"save": "=EverySteps(2)"}, **settings)
    for name in ("model", "optimizer", "metrics", "ids"):
        assert whole[name] == alone[name], name
    assert alone["patched"] == whole["patched"] == []


def test_a_validation_within_a_step_is_saved_when_the_step_is_whole(run) -> None:
    settings = {
        "callback": {"save_on_train_epoch_end": False, "save_top_k": -1},
        "trainer": {"val_check_interval": 3, "accumulate_grad_batches": 2},
        "schedule": "cycle",
    }
    whole = run(directory="whole", **settings)
    assert [item["step"] for item in whole["checkpoints"]][:2] == [2, 3]
    run(directory="killed", signal_at=(3, "SIGKILL"), expect=signal.SIGKILL, **settings)
    resumed = run(directory="killed", resume="last", **settings)
    assert resumed["steps"] < whole["steps"]
    for name in SAME:
        assert resumed[name] == whole[name], name


def test_a_stream_without_a_state_is_told_of(run) -> None:
    found = run(directory="run", sampler="stream", trainer={"max_epochs": 1})
    assert "a resume within an epoch will not be exact" in str(found["messages"])
