from __future__ import annotations

import numpy as np
import pytest
import torch

from hfl_core import ConfigError, IncompatibleStateError
from hfl_state import BestMetric, EarlyStopping

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("mode", "values", "expected", "best"),
    [
        ("min", [3, 4, 2, 2], [True, False, True, False], 2),
        ("max", [3, 4, 2, 4], [True, True, False, False], 4),
        ("min", [NAN, None, -INF, 5, NAN, INF, 4], [False] * 3 + [True, False, False, True], 4),
        ("max", [INF, 1], [False, True], 1),
        ("min", [torch.tensor(1.5), np.float32(0.5)], [True, True], 0.5),
        ("min", [torch.ones(1, requires_grad=True), np.array([0.5])], [True, True], 0.5),
    ],
)
def test_the_best_value_is_the_best_finite_one(mode, values, expected, best):
    metric = BestMetric("m", mode)
    assert [metric.update(value) for value in values] == expected
    assert metric.value == best


def test_best_survives_a_resume_with_its_step_and_history(runs):
    best = BestMetric("loss", history=True)
    for step, value in enumerate([0.5, None, 0.4, 0.6]):
        best.update(value, step=step)
    other = BestMetric("loss", history=True)
    other.load_state_dict(runs.through_bytes(best.state_dict()))
    assert (other.value, other.step) == (0.4, 2)
    assert other.history == best.history == [(0, 0.5), (1, None), (2, 0.4), (3, 0.6)]
    assert not other.update(0.45)
    assert "value=0.4" in repr(other)


@pytest.mark.parametrize("cls", [BestMetric, lambda *a: EarlyStopping(a[0], 1, *a[1:])])
def test_another_metric_or_mode_is_refused_and_nothing_changes(cls):
    saved, live = cls("loss", "min"), cls("accuracy", "max")
    saved.update(1.0)
    with pytest.raises(IncompatibleStateError, match="metric is 'loss', here it is 'accuracy'"):
        live.load_state_dict(saved.state_dict())
    with pytest.raises(IncompatibleStateError, match="mode is 'min', here it is 'max'"):
        live.load_state_dict({**saved.state_dict(), "metric": "accuracy"})
    assert live.state_dict() == cls("accuracy", "max").state_dict()


@pytest.mark.parametrize("value", ["high", torch.ones(2), [1]])
def test_what_is_not_one_number_is_refused(value):
    with pytest.raises(ConfigError, match="one number"):
        BestMetric("m").update(value)
    with pytest.raises(ConfigError, match="one number"):
        EarlyStopping("m", patience=1).update(value)


@pytest.mark.parametrize(
    ("options", "values", "stops_at"),
    [
        ({"patience": 2}, [5, 6, 4, 5, 5], 4),
        ({"patience": 1}, [5, 5], 1),
        ({"patience": 2, "mode": "max"}, [1, 2, 2, 2], 3),
        ({"patience": 1, "min_delta": 0.5}, [5, 4.4, 4.0], 2),
        ({"patience": 2}, [NAN, INF], 1),
        ({"patience": 2}, [5, None, 6, None, 7], 4),
    ],
)
def test_it_stops_after_as_many_evaluations_without_improvement(options, values, stops_at):
    stopping = EarlyStopping("m", **options)
    answers = [stopping.update(value) for value in values]
    assert answers.index(True) == stops_at
    assert stopping.stopped
    assert stopping.update(-1000 if options.get("mode") != "max" else 1000), "it stays so"


def test_a_stop_comes_at_the_same_evaluation_after_a_resume(runs):
    first = EarlyStopping("m", patience=2)
    assert [first.update(value) for value in (1, 2)] == [False, False]
    again = EarlyStopping("m", patience=2)
    again.load_state_dict(runs.through_bytes(first.state_dict()))
    assert again.update(3)
    third = EarlyStopping("m", patience=2)
    third.load_state_dict(again.state_dict())
    assert third.stopped
    assert "stopped=True" in repr(third)


def test_more_patience_lets_a_stopped_run_go_on():
    stopped = EarlyStopping("m", patience=1)
    stopped.update(1)
    stopped.update(1)
    patient = EarlyStopping("m", patience=3)
    patient.load_state_dict(stopped.state_dict())
    assert not patient.stopped
    assert [patient.update(1), patient.update(1)] == [False, True]


@pytest.mark.parametrize("change", [{"bad": -1}, {"bad": 1.5}, {"stopped": 1}, {"best": "x"}])
def test_a_damaged_count_is_refused(change):
    stopping = EarlyStopping("m", patience=1)
    with pytest.raises(IncompatibleStateError):
        stopping.load_state_dict({**stopping.state_dict(), **change})


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 0},
        {"patience": True},
        {"patience": 1.5},
        {"patience": 1, "mode": "low"},
        {"patience": 1, "min_delta": -1},
        {"patience": 1, "min_delta": NAN},
    ],
)
def test_settings_that_make_no_sense_are_refused(options):
    with pytest.raises(ConfigError):
        EarlyStopping("m", **options)
