"""SIGTERM saves the step that is being taken, once, and ends the training as Lightning ends it."""

from __future__ import annotations

import signal

import pytest

SAME = ("model", "optimizer", "metrics", "logged_step", "step", "epoch", "counted")


@pytest.mark.parametrize("step", [5, 7, 14])
def test_sigterm_saves_the_step_once_and_the_run_goes_on_from_there(run, step) -> None:
    settings = {"callback": {"every_n_epochs": 1, "save_top_k": -1}}
    whole = run(directory="whole", **settings)
    ended = run(directory="ended", signal_at=(step, "SIGTERM"), fails=True, **settings)
    assert ended["error"]["type"] == "SIGTERMException"
    newest = ended["checkpoints"][-1]
    assert newest["step"] == step
    assert newest["reason"] == "preemption"
    assert ended["is_preempted"]
    assert len({item["step"] for item in ended["checkpoints"]}) == len(ended["checkpoints"])
    assert ended["patched"] == []
    resumed = run(directory="ended", resume="last", **settings)
    assert resumed["steps"] == whole["steps"] - step
    for name in SAME:
        assert resumed[name] == whole[name], name


def test_a_run_that_is_killed_in_a_validation_has_saved_before_it_and_makes_up_for_it(run) -> None:
    settings = {
        "callback": {"every_n_train_steps": 3, "save_top_k": -1},
        "trainer": {"val_check_interval": 3, "limit_train_batches": 6},
        "schedule": "cycle",
    }
    whole = run(directory="whole", **settings)
    for count in (1, 3):
        run(
            directory="ended",
            resume="last",
            kill_in_validation=count,
            expect=signal.SIGKILL,
            **settings,
        )
    resumed = run(directory="ended", resume="last", **settings)
    assert resumed["steps"] == whole["steps"] - 9
    for name in SAME:
        assert resumed[name] == whole[name], name


def test_a_policy_for_signals_and_lightnings_handler_save_once(run) -> None:
    settings = {"directory": "run", "callback": {"save": "=OnSignal()", "save_top_k": 0}}
    ended = run(signal_at=(5, "SIGTERM"), fails=True, **settings)
    assert ended["error"]["type"] == "SIGTERMException"
    assert [(item["step"], item["reason"]) for item in ended["checkpoints"]] == [(5, "preemption")]


def test_another_signal_of_a_policy_ends_the_training_cleanly_and_it_goes_on(run) -> None:
    settings = {"callback": {"save": "=OnSignal('SIGUSR1')", "save_top_k": -1}}
    whole = run(directory="whole", **settings)
    ended = run(
        directory="ended", signal_at=(5, "SIGUSR1"), trainer={"max_epochs": 3, "min_epochs": 3},
        **settings,
    )  # fmt: skip
    assert ended["step"] == 5
    assert ended["is_preempted"]
    assert "ckpt_path='last' goes on" in str(ended["messages"])
    assert [(item["step"], item["reason"]) for item in ended["checkpoints"]] == [(5, "preemption")]
    resumed = run(directory="ended", resume="last", **settings)
    for name in SAME:
        assert resumed[name] == whole[name], name


@pytest.mark.parametrize("rank", [0, 1])
def test_sigterm_to_one_of_two_processes_saves_the_same_step_of_both(run, rank) -> None:
    settings = {"ranks": 2, "rows": 52, "callback": {"save_top_k": -1}}
    whole = run(directory="whole", **settings)
    ended = run(directory="ended", signal_at=(4, "SIGTERM"), only_rank=rank, fails=True, **settings)
    for report in ended:
        assert report["error"]["type"] == "SIGTERMException"
        assert [item["reason"] for item in report["checkpoints"]] == ["preemption"]
        assert report["step"] == report["checkpoints"][0]["step"]
    assert ended[0]["step"] == ended[1]["step"]
    resumed = run(directory="ended", resume="last", **settings)
    for number in (0, 1):
        for name in SAME:
            assert resumed[number][name] == whole[number][name], name


def test_the_users_own_error_stays_the_one_to_see_and_nothing_is_left_behind(run) -> None:
    settings = {"directory": "run", "callback": {"every_n_train_steps": 2, "save_top_k": -1}}
    ended = run(raise_at=5, fails=True, **settings)
    assert ended["error"] == {"type": "ValueError", "text": "the user's own"}
    assert [item["step"] for item in ended["checkpoints"]] == [2, 4]
    assert ended["patched"] == []


def test_one_of_two_processes_that_is_killed_leaves_the_newest_checkpoint_as_it_was(run) -> None:
    settings = {"ranks": 2, "rows": 52, "callback": {"every_n_train_steps": 3, "save_top_k": -1}}
    whole = run(directory="whole", **settings)
    ended = run.each(
        directory="ended", signal_at=(5, "SIGKILL"), only_rank=1, fails=True, **settings
    )
    assert ended[1]["ended"] == signal.SIGKILL
    assert ended[0]["report"]["error"] is not None
    resumed = run(directory="ended", resume="last", **settings)
    for name in SAME:
        assert resumed[0][name] == whole[0][name], name
