"""How long a run takes, counted by hand, by a timer, and across resumes."""

from __future__ import annotations

import json
import threading

import pytest

from hfl_core import IncompatibleStateError, Timer
from hfl_metadata import DurationInfo, RunClock, capture


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def hands() -> Hands:
    return Hands()


def test_what_is_measured_is_counted_once(hands):
    clock = RunClock(clock=hands)
    hands.move(1)
    with clock.measure("training"):
        hands.move(10)
        with clock.measure("saving"):
            hands.move(2)
        with clock.measure("evaluating"):
            hands.move(3)
        hands.move(4)
    assert clock.durations() == DurationInfo(20.0, 14.0, 2.0, 3.0, 1)


def test_what_is_still_going_on_counts(hands):
    clock = RunClock(clock=hands)
    with clock.measure("training"):
        hands.move(5)
        assert clock.durations().training == 5
        with clock.measure("saving"):
            hands.move(1)
            assert clock.durations() == DurationInfo(6.0, 5.0, 1.0, 0.0, 1)


def test_what_ends_with_an_error_counts(hands):
    clock = RunClock(clock=hands)
    with pytest.raises(KeyError), clock.measure("evaluating"):
        hands.move(2)
        raise KeyError
    assert clock.durations().evaluating == 2


def test_a_timer_feeds_it_and_inner_spans_are_not_counted_twice(hands):
    timer = Timer(clock=hands)
    clock = RunClock(timer, clock=hands)
    with timer.span("epoch"):
        hands.move(1)
        with timer.span("train"):
            hands.move(10)
            with timer.span("forward"):
                hands.move(5)
            with timer.span("save"):
                hands.move(2)
        with timer.span("evaluate"):
            hands.move(3)
    assert clock.durations() == DurationInfo(21.0, 15.0, 2.0, 3.0, 1)


def test_spans_have_the_names_that_the_user_gives_them(hands):
    timer = Timer(clock=hands)
    clock = RunClock(timer, spans={"step": "training"}, clock=hands)
    with timer.span("step"):
        hands.move(2)
    with timer.span("train"):
        hands.move(2)
    assert clock.durations().training == 2


def test_a_resumed_run_goes_on_counting(hands):
    first = RunClock(clock=hands)
    with first.measure("training"):
        hands.move(10)
    state = json.loads(json.dumps(first.state_dict()))
    with first.measure("training"):
        hands.move(99)  # lost with the process

    second = RunClock(clock=hands)
    with second.measure("training"):
        hands.move(1)  # until the checkpoint is found
    second.load_state_dict(state)
    with second.measure("saving"):
        hands.move(5)
    assert second.durations() == DurationInfo(16.0, 11.0, 5.0, 0.0, 2)

    third = RunClock(clock=hands)
    third.load_state_dict(second.state_dict())
    assert third.durations() == DurationInfo(16.0, 11.0, 5.0, 0.0, 3)
    third.load_state_dict(state)  # the newest was damaged, the one before it counts
    assert third.durations() == DurationInfo(10.0, 10.0, 0.0, 0.0, 2)


def test_going_back_within_a_session_takes_no_time_back(hands):
    clock = RunClock(clock=hands)
    hands.move(10)
    state = clock.state_dict()
    hands.move(10)
    clock.load_state_dict(state)
    assert clock.durations() == DurationInfo(20.0, 0.0, 0.0, 0.0, 1)


@pytest.mark.parametrize(
    "state", [{}, {"wall": 1}, {"step": 3}, {**RunClock().state_dict(), "wall": "x"}]
)
def test_the_state_of_something_else_is_refused_and_changes_nothing(hands, state):
    clock = RunClock(clock=hands)
    before = clock.state_dict()
    with pytest.raises(IncompatibleStateError, match="not the state of a RunClock"):
        clock.load_state_dict(state)
    assert clock.state_dict() == before


def test_there_are_three_activities_and_no_other():
    with pytest.raises(ValueError, match="'sleeping' is none of training"), RunClock().measure(
        "sleeping"
    ):
        pass
    with pytest.raises(ValueError, match="'sleeping' is none of training"):
        RunClock(spans={"nap": "sleeping"})


def test_threads_measure_their_own(hands):
    clock = RunClock(clock=hands)
    entered, leave = threading.Event(), threading.Event()

    def save() -> None:
        with clock.measure("saving"):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=save)
    with clock.measure("training"):
        thread.start()
        entered.wait()
        hands.move(4)
        assert clock.durations() == DurationInfo(4.0, 4.0, 4.0, 0.0, 1)
        leave.set()
        thread.join()
    assert clock.durations() == DurationInfo(4.0, 4.0, 4.0, 0.0, 1)


@pytest.mark.parametrize("form", ["clock", "info", "mapping"])
def test_a_record_has_the_durations(hands, form):
    clock = RunClock(clock=hands)
    hands.move(7)
    forms = {"clock": clock, "info": clock.durations(), "mapping": {"wall": 7.0}}
    assert capture(durations=forms[form]).durations == DurationInfo(wall=7.0)


def test_durations_that_are_none_are_a_problem_and_no_error():
    found = capture(durations="long")
    assert found.durations is None
    assert "durations is a RunClock or a DurationInfo, not str" in found.problems["durations"]
