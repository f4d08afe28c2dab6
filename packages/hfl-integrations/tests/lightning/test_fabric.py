"""A loop written with Fabric resumes with the same bits."""

from __future__ import annotations

import signal

import pytest

SETTINGS = {"fabric": True, "options": {"save": "=EverySteps(3)"}}


@pytest.mark.parametrize(
    "more", [{}, {"workers": 1, "persistent": True}, {"ranks": 2, "rows": 52}], ids=str
)
def test_a_loop_that_is_killed_twice_ends_with_the_bits_of_one_that_was_not(run, more) -> None:
    settings = {**SETTINGS, **more}
    whole = run(directory="whole", **settings)
    run(directory="killed", kill_at=5, expect=signal.SIGKILL, **settings)
    run(directory="killed", kill_at=11, expect=signal.SIGKILL, **settings)
    resumed = run(directory="killed", **settings)
    for one, other in zip(
        resumed if "ranks" in more else [resumed], whole if "ranks" in more else [whole]
    ):
        assert one["model"] == other["model"]
        assert one["ids"] == other["ids"][-len(one["ids"]) :]
        assert (one["step"], one["epoch"]) == (other["step"], other["epoch"]) == (21, 3)


@pytest.mark.parametrize("step", [7, 8, 14])
def test_a_save_at_the_last_batch_of_an_epoch_is_not_taken_for_one_at_its_beginning(
    run, step
) -> None:
    settings = {"fabric": True, "options": {"save": f"=AtSteps({step})"}}
    whole = run(directory="whole", **settings)
    run(directory="killed", kill_at=step, expect=signal.SIGKILL, **settings)
    resumed = run(directory="killed", **settings)
    assert (resumed["step"], resumed["epoch"]) == (21, 3)
    assert resumed["model"] == whole["model"]


def test_a_save_between_epochs_is_exact(run) -> None:
    settings = {"fabric": True, "between": True}
    whole = run(directory="whole", **settings)
    assert whole["checkpoints"] == [7, 14, 21]
    run(directory="killed", kill_at=9, expect=signal.SIGKILL, **settings)
    assert run(directory="killed", **settings)["model"] == whole["model"]


def test_a_state_without_steps_and_a_name_that_is_taken_are_refused(run) -> None:
    found = run(directory="one", counted_as="steps", fails=True, fabric=True)
    assert "no whole number 'step'" in found["error"]["text"]
    found = run(directory="two", more={"rng": 1}, fails=True, fabric=True)
    assert "'rng'" in found["error"]["text"]
