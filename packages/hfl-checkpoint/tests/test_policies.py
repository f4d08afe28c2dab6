"""Policies: an interval is crossed, not hit; retention keeps the union; what makes no sense is refused."""

from __future__ import annotations

import datetime
import math
import operator
import pathlib
from functools import reduce
from typing import Any, Dict, List, Mapping, Optional, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfl_checkpoint import (
    Checkpoint,
    CheckpointManager,
    EverySteps,
    KeepAll,
    KeepBest,
    KeepLast,
    KeepPolicy,
    SaveContext,
    SavePolicy,
)
from hfl_core import ConfigError


def context(step: int, previous: int, **metrics: Any) -> SaveContext:
    return SaveContext(step, None, previous, None, metrics)


def checkpoint(sequence: int, metrics: Optional[Mapping[str, float]] = None) -> Checkpoint:
    return Checkpoint(
        name=f"c{sequence}",
        step=sequence,
        epoch=None,
        sequence=sequence,
        run_id="r",
        created_at=datetime.datetime.now(datetime.timezone.utc),
        metrics=metrics or {},
        reason="manual",
        components=(),
        path=pathlib.Path(f"c{sequence}"),
        pinned=False,
        labels=(),
        size=0,
    )


def evaluated(*values: Optional[float]) -> List[Checkpoint]:
    return [
        checkpoint(index, {} if value is None else {"eval": value})
        for index, value in enumerate(values, start=1)
    ]


@given(st.integers(1, 50), st.lists(st.integers(1, 120), min_size=1, max_size=30))
def test_every_interval_is_saved_once_however_steps_jump(n: int, jumps: List[int]) -> None:
    policy, step, saves = EverySteps(n), 0, 0
    for jump in jumps:
        saves += policy.should_save(context(step + jump, step)) == "interval"
        reached = (step + jump) // n - step // n
        step += jump
        assert (reached > 0) == (policy.should_save(context(step, step - jump)) is not None)
    assert saves <= step // n
    if max(jumps) <= n:  # no jump swallows an interval
        assert saves == step // n


@given(st.integers(1, 50), st.integers(0, 1000))
def test_no_step_since_the_last_question_saves_nothing(n: int, step: int) -> None:
    assert EverySteps(n).should_save(context(step, step)) is None


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "10", None])
def test_an_interval_that_makes_no_sense_is_refused(n: Any) -> None:
    with pytest.raises(ConfigError, match="EverySteps"):
        EverySteps(n)


def test_joined_save_policies_are_all_asked_and_the_first_reason_counts() -> None:
    asked: List[int] = []

    class Remembering:
        def should_save(self, context: SaveContext) -> Optional[str]:
            asked.append(context.step)
            return "mine" if context.metrics.get("loss") == 1 else None

    policy = EverySteps(10) | Remembering()

    assert isinstance(policy, SavePolicy)
    assert policy.should_save(context(10, 9)) == "interval"
    assert policy.should_save(context(11, 10)) is None
    assert policy.should_save(context(12, 11, loss=1)) == "mine"
    assert asked == [10, 11, 12]
    assert (policy | EverySteps(4)).should_save(context(12, 11)) == "interval"


def test_a_policy_joins_policies_only() -> None:
    with pytest.raises(TypeError):
        EverySteps(10) | KeepLast(1)  # type: ignore[operator]  # refused when it runs
    with pytest.raises(TypeError):
        KeepLast(1) | EverySteps(10)  # type: ignore[operator]  # refused when it runs
    with pytest.raises(TypeError):
        KeepLast(1) & "latest"  # type: ignore[operator]  # refused when it runs


def test_the_last_and_the_best_are_both_kept_when_the_metric_gets_worse() -> None:
    policy = KeepLast(2) | KeepBest("eval", n=2)

    chosen = policy.select(evaluated(0.1, 0.2, 0.3, 0.4, 0.5))

    assert sorted(chosen) == ["c1", "c2", "c4", "c5"]
    assert chosen["c1"] == "best eval"
    assert chosen["c5"] == "newest"


def test_a_checkpoint_that_two_policies_want_has_both_reasons() -> None:
    chosen = (KeepLast(1) | KeepBest("eval")).select(evaluated(0.5, 0.1))

    assert chosen == {"c2": "newest, best eval"}


def test_both_policies_must_want_it_with_and() -> None:
    found = (KeepLast(3) & KeepBest("eval", n=3, mode="max")).select(
        evaluated(0.5, 0.4, 0.3, 0.2, 0.1)
    )

    assert list(found) == ["c3"]
    assert found["c3"] == "among the newest 3 and among the best 3 by eval"


POLICIES: Dict[str, KeepPolicy] = {
    "last": KeepLast(2),
    "best": KeepBest("eval", n=2),
    "all": KeepAll(),
}


@given(
    st.lists(st.none() | st.floats(), max_size=8),
    st.lists(st.sampled_from(sorted(POLICIES)), min_size=1, max_size=3),
)
def test_or_is_union_and_and_is_intersection(
    values: Sequence[Optional[float]], names: List[str]
) -> None:
    checkpoints = evaluated(*values)
    policies: List[Any] = [POLICIES[name] for name in names]
    choices = [set(policy.select(checkpoints)) for policy in policies]

    assert set(reduce(operator.or_, policies).select(checkpoints)) == set.union(*choices)
    assert set(reduce(operator.and_, policies).select(checkpoints)) == set.intersection(*choices)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_finite_number_is_never_best(bad: Optional[float], mode: Any) -> None:
    checkpoints = evaluated(bad, 0.5, bad, 0.25)

    chosen = KeepBest("eval", n=4, mode=mode).select(checkpoints)

    assert sorted(chosen) == ["c2", "c4"]
    assert chosen["c4" if mode == "min" else "c2"] == "best eval"


def test_of_equal_values_the_older_is_best() -> None:
    assert list(KeepBest("eval").select(evaluated(0.5, 0.5))) == ["c1"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: KeepLast(0),
        lambda: KeepLast(-1),
        lambda: KeepLast(1.5),  # type: ignore[arg-type]  # refused when it runs
        lambda: KeepLast(True),
        lambda: KeepBest("eval", n=0),
        lambda: KeepBest(""),
        lambda: KeepBest("eval", mode="lowest"),  # type: ignore[arg-type]  # refused when it runs
    ],
)
def test_a_retention_that_makes_no_sense_is_refused_with_an_example(make: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        make()

    assert caught.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {"save": 500},
        {"save": KeepLast(1)},
        {"keep": 3},
        {"keep": "first:3"},
        {"when_busy": "queue"},
    ],
    ids=str,
)
def test_a_manager_refuses_what_is_not_a_policy(tmp_path: pathlib.Path, options: Any) -> None:
    with pytest.raises(ConfigError):
        CheckpointManager(tmp_path, **options)


@pytest.mark.parametrize("background", [False, True])
def test_a_run_whose_metric_gets_worse_keeps_best_and_last_on_disk(
    tmp_path: pathlib.Path, background: bool
) -> None:
    keep = KeepLast(2) | KeepBest("eval", n=2)
    with CheckpointManager(tmp_path, keep=keep, background=background) as checkpoints:
        for step, value in enumerate([0.1, 0.2, 0.3, 0.4, 0.5], start=1):
            checkpoints.save(step, metrics={"eval": value}, counters={"step": step})
        checkpoints.wait()

        assert [item.step for item in checkpoints.checkpoints()] == [1, 2, 4, 5]
        assert checkpoints.best("eval").step == 1  # type: ignore[union-attr]  # there is one
        assert checkpoints.load("latest")["counters"] == {"step": 5}


def test_nan_and_missing_metrics_push_nothing_good_out(tmp_path: pathlib.Path) -> None:
    keep = KeepLast(1) | KeepBest("eval")
    values: List[Any] = [None, 0.3, math.nan, math.inf, -math.inf, "oops", 0.4]
    with CheckpointManager(tmp_path, keep=keep, background=False) as checkpoints:
        for step, value in enumerate(values, start=1):
            checkpoints.save(step, metrics={"eval": value}, counters={"step": step})

        assert [item.step for item in checkpoints.checkpoints()] == [2, 7]
