"""What is kept: by distance, age, room and a function; from a text; and why, policy by policy."""

from __future__ import annotations

import contextlib
import datetime
import math
import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfl_checkpoint import (
    Checkpoint,
    KeepAll,
    KeepBest,
    KeepEvery,
    KeepIf,
    KeepLast,
    KeepPolicy,
    KeepWithin,
    keep_from,
)
from hfl_checkpoint._votes import poll
from hfl_core import ConfigError

NOON = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.timezone.utc)


def made(
    sequence: int, step: int, hour: float = 0.0, size: int = 0, **metrics: float
) -> Checkpoint:
    return Checkpoint(
        name=f"c{sequence}",
        step=step,
        epoch=None,
        sequence=sequence,
        run_id="r",
        created_at=NOON + datetime.timedelta(hours=hour),
        metrics=metrics,
        reason="manual",
        components=(),
        path=Path(f"nowhere/c{sequence}"),
        pinned=False,
        labels=(),
        size=size,
    )


def at_steps(*steps: int) -> List[Checkpoint]:
    return [made(index, step) for index, step in enumerate(steps, start=1)]


def kept(policy: KeepPolicy, checkpoints: Sequence[Checkpoint]) -> List[int]:
    chosen = policy.select(checkpoints)
    return [item.step for item in checkpoints if item.name in chosen]


# KeepEvery


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((500, 1000, 1500, 2000), [1000, 2000]),
        ((990, 1010, 1020, 2005, 3999), [1010, 2005, 3999]),
        ((0, 400), [0]),
        ((400,), []),
        ((9000, 10_000, 11_000), [9000, 10_000, 11_000]),
    ],
)
def test_one_for_each_multiple_is_kept(steps: Any, expected: List[int]) -> None:
    assert kept(KeepEvery(steps=1000), at_steps(*steps)) == expected


def test_of_two_lines_that_reach_a_multiple_the_newer_counts() -> None:
    checkpoints = at_steps(1000, 1500, 2000, 1500, 2000, 2500)
    assert set(KeepEvery(steps=1000).select(checkpoints)) == {"c1", "c5"}


@given(st.integers(1, 40), st.lists(st.integers(0, 400), max_size=25))
def test_cleaning_again_deletes_nothing_more(distance: int, steps: List[int]) -> None:
    policy = KeepEvery(steps=distance)
    checkpoints = at_steps(*steps)
    chosen = policy.select(checkpoints)
    left = [item for item in checkpoints if item.name in chosen]
    assert set(policy.select(left)) == set(chosen)
    assert len({item.step // distance for item in left}) == len(left)


# KeepWithin


def test_age_counts_from_the_newest_checkpoint() -> None:
    checkpoints = [made(n, n, hour) for n, hour in enumerate([0, 1, 25.0, 48, 49], start=1)]
    assert kept(KeepWithin(hours=24), checkpoints) == [3, 4, 5]
    assert kept(KeepWithin(hours=0.5), checkpoints) == [5]
    assert kept(KeepWithin(hours=1e300), checkpoints) == [1, 2, 3, 4, 5]
    assert kept(KeepWithin(hours=1), []) == []


def test_a_clock_that_went_back_makes_nothing_old() -> None:
    checkpoints = [made(1, 1, hour=500), made(2, 2, hour=0)]
    assert kept(KeepWithin(hours=1), checkpoints) == [1, 2]


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(1, 200))
def test_the_newest_that_fit_are_kept_without_a_gap(sizes: List[int], limit: int) -> None:
    checkpoints = [made(n, n, size=size) for n, size in enumerate(sizes, start=1)]
    found = kept(KeepWithin(bytes=limit), checkpoints)
    count = len(found)
    assert found == [item.step for item in checkpoints[len(checkpoints) - count :]]
    assert sum(sizes[len(sizes) - count :]) <= limit
    if count < len(sizes):
        assert sum(sizes[len(sizes) - count - 1 :]) > limit


def test_files_that_checkpoints_share_count_once(open_manager: Any, run_path: Path) -> None:
    manager = open_manager()
    for step in (1, 2, 3):
        manager.save(step, frozen={"data": "x" * 1_000_000})
    # Manifests differ in length by a few bytes.
    size = 100 + sum(
        path.stat().st_size for path in (run_path / "step-00000001").rglob("*") if path.is_file()
    )
    assert kept(KeepWithin(bytes=2 * size), manager.checkpoints()) == [2, 3]
    assert kept(KeepWithin(bytes=size // 2), manager.checkpoints()) == []
    for step in (2, 3):
        shared = run_path / f"step-0000000{step}" / "state" / "frozen.json"
        shared.unlink()
        os.link(run_path / "step-00000001" / "state" / "frozen.json", shared)
    assert kept(KeepWithin(bytes=2 * size), manager.checkpoints()) == [1, 2, 3]


# KeepIf


def test_a_function_decides_and_may_say_why() -> None:
    checkpoints = [made(n, n, loss=n / 10) for n in (1, 2, 3)]
    policy = KeepIf(lambda item: item.metrics["loss"] > 0.15 and f"loss {item.metrics['loss']}")
    assert policy.select(checkpoints) == {"c2": "loss 0.2", "c3": "loss 0.3"}

    def even(item: Checkpoint) -> bool:
        return item.step % 2 == 0

    assert KeepIf(even).select(checkpoints) == {"c2": "KeepIf(even) says so"}


@pytest.mark.parametrize("answer", [None, 0, 1, [], "raise"])
def test_a_function_that_fails_or_says_neither_deletes_nothing(
    answer: Any, open_manager: Any, live: Any, run_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def decide(item: Checkpoint) -> Any:
        if answer == "raise":
            raise RuntimeError("no idea")
        return answer if item.step == 2 else False

    manager = open_manager(keep=KeepLast(1) | KeepIf(decide))
    for step in (1, 2, 3):
        manager.save(step, **live(step).components)
    assert [item.step for item in manager.checkpoints()][-2:] == [2, 3]
    with pytest.raises((ConfigError, RuntimeError)):
        manager.clean(dry_run=False)
    assert [item.step for item in manager.checkpoints()][-2:] == [2, 3]
    assert "failed" in caplog.text


@pytest.mark.parametrize("choice", [[], None, {"c1"}, "c1"])
def test_a_policy_of_ones_own_that_chooses_in_another_form_deletes_nothing(
    choice: Any, open_manager: Any, live: Any
) -> None:
    class Mine:
        def select(self, checkpoints: Sequence[Checkpoint]) -> Any:
            return choice

    manager = open_manager(keep=Mine())
    for step in (1, 2):
        manager.save(step, **live(step).components)
    with pytest.raises(ConfigError, match="no mapping"):
        manager.clean()
    assert len(manager.checkpoints()) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: KeepEvery(steps=0),
        lambda: KeepEvery(steps=True),
        KeepWithin,
        lambda: KeepWithin(hours=1, bytes=1),
        lambda: KeepWithin(hours=0),
        lambda: KeepWithin(hours=math.nan),
        lambda: KeepWithin(hours=math.inf),
        lambda: KeepWithin(bytes=0),
        lambda: KeepWithin(bytes=1.5),  # type: ignore[arg-type]  # refused when it runs
        lambda: KeepIf("step > 3"),  # type: ignore[arg-type]  # refused when it runs
        lambda: KeepLast(0),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_does(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert "Keep" in str(caught.value.hint)


# From a text

TEXTS: Dict[str, KeepPolicy] = {
    "all": KeepAll(),
    "last:3": KeepLast(3),
    "best:eval_loss": KeepBest("eval_loss"),
    "best:eval_loss:2": KeepBest("eval_loss", n=2),
    "best:accuracy:max": KeepBest("accuracy", mode="max"),
    "best:eval:loss:2:min": KeepBest("eval:loss", n=2),
    "every:1000": KeepEvery(steps=1000),
    "within:24h": KeepWithin(hours=24.0),
    "within:1.5d": KeepWithin(hours=36.0),
    "within:2w": KeepWithin(hours=336.0),
    "within:90m": KeepWithin(hours=1.5),
    "within:200GB": KeepWithin(bytes=200 * 10**9),
    "within:1.5GiB": KeepWithin(bytes=3 << 29),
    "last:3 | best:eval_loss:2:min|every:1000": KeepLast(3)
    | KeepBest("eval_loss", n=2)
    | KeepEvery(steps=1000),
    "last:1 | every:10 & within:1h": KeepLast(1) | (KeepEvery(steps=10) & KeepWithin(hours=1.0)),
    "(last:1 | every:10) & within:1h": (KeepLast(1) | KeepEvery(steps=10)) & KeepWithin(hours=1.0),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_means_what_code_would(text: str) -> None:
    checkpoints = [
        made(n, n * 7 % 31, n / 3, 10**8, eval_loss=1 / n, accuracy=n % 5, **{"eval:loss": n % 4})
        for n in range(1, 40)
    ]
    assert keep_from(text).select(checkpoints) == TEXTS[text].select(checkpoints)
    assert keep_from(f" ( {text} ) ").select(checkpoints) == TEXTS[text].select(checkpoints)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|",
        "last",
        "last:",
        "last:0",
        "last:-1",
        "last:three",
        "last:3 last:4",
        "last:3 |",
        "| last:3",
        "last:3 || every:5",
        "(last:3",
        "last:3)",
        "()",
        "all:1",
        "first:3",
        "best",
        "best:",
        "best:loss:0",
        "every:0",
        "within:5",
        "within:5y",
        "within:0h",
        "within:GB",
        f"within:{'9' * 400}GB",
        "(" * 5000,
        None,
        3,
    ],
    ids=lambda text: str(text)[:20],
)
def test_a_text_that_makes_no_sense_is_refused_with_one_that_does(text: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        keep_from(text)
    assert "last:3 | best:eval_loss:2:min" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "said"),
    [("last:0", "'last:0'"), ("last:0 | best:loss", "'last:0 | best:loss': 'last:0'")],
)
def test_why_a_policy_is_refused_is_said_once_and_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        keep_from(text)
    assert caught.value.message == (
        f"The retention policy {said}: KeepLast cannot keep 0 checkpoints: the number is at least 1, and"
        " the newest one is never deleted."
    )


@given(st.text(max_size=30))
def test_no_text_is_anything_but_a_policy_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(keep_from(text), KeepPolicy)


def test_the_manager_takes_a_text_and_the_setting(
    open_manager: Any,
    live: Any,
    monkeypatch: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    for step in (1, 2, 3):
        open_manager(keep="last:2 | every:1").save(step, **live(step).components)

    def plan(**options: Any) -> List[str]:
        return [item.reason for item in open_manager(**options).clean().keep]

    assert plan() == ["everything is kept"]
    assert plan(keep="last:1") == ["newest"]
    (tmp_path / "hfl.toml").write_text('keep = "every:7"\n')
    assert plan() == []
    monkeypatch.setenv("HFL_KEEP", "last:1")
    assert plan() == ["newest"]
    assert plan(keep=KeepAll()) == ["everything is kept"]
    (tmp_path / "hfl.toml").write_text("keep = [")
    assert plan() == ["everything is kept"], "who cannot tell what to keep deletes nothing"
    assert "all checkpoints are kept" in caplog.text
    monkeypatch.delenv("HFL_KEEP")
    (tmp_path / "hfl.toml").unlink()
    monkeypatch.setenv("HFL_KEEP", "last:0")
    with pytest.raises(ConfigError, match="'last:0'"):
        open_manager()


# Votes


def test_a_plan_tells_what_each_policy_said(open_manager: Any, live: Any) -> None:
    everything = open_manager()
    for step, loss in ((1, 0.5), (2, 0.1), (3, math.nan), (4, None)):
        everything.save(step, metrics={"loss": loss}, **live(step).components)
    plan = open_manager(keep=KeepLast(1) | (KeepBest("loss") & KeepEvery(steps=2))).clean()
    told = {
        decision.checkpoint.step: [str(vote) for vote in decision.votes]
        for decision in (*plan.keep, *plan.delete, *plan.protected)
    }
    last, best, every = (
        "KeepLast(n=1)",
        "KeepBest(metric='loss', n=1, mode='min')",
        "KeepEvery(steps=2)",
    )
    assert told == {
        1: [
            f"{last}: no, newest is another one",
            f"{best}: no, its loss of 0.5 is not among the best 1",
            f"{every}: no, before step 2",
        ],
        2: [
            f"{last}: no, newest is another one",
            f"{best}: keep, best loss",
            f"{every}: keep, the first from step 2 on",
        ],
        3: [
            f"{last}: no, newest is another one",
            f"{best}: no, its loss is nan, which never counts as best",
            f"{every}: no, not the first from step 2 on",
        ],
        4: [
            f"{last}: keep, newest",
            f"{best}: no, has no loss",
            f"{every}: keep, the first from step 4 on",
        ],
    }
    assert [item.reason for item in plan.keep] == [
        "best loss and the first from step 2 on",
        "newest",
    ]


NAMED: Dict[str, KeepPolicy] = {
    "last": KeepLast(2),
    "best": KeepBest("loss", n=2),
    "every": KeepEvery(steps=3),
    "hours": KeepWithin(hours=2),
    "bytes": KeepWithin(bytes=40),
    "if": KeepIf(lambda item: item.step % 4 == 1),
    "all": KeepAll(),
}


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.floats(0, 9), st.integers(0, 20), st.floats()), max_size=9
    ),
    st.lists(st.tuples(st.sampled_from(sorted(NAMED)), st.booleans()), min_size=1, max_size=4),
)
def test_votes_agree_with_the_choice_and_joins_with_logic(rows: Any, names: Any) -> None:
    checkpoints = [
        made(index, step, hour, size, loss=loss)
        for index, (step, hour, size, loss) in enumerate(rows, start=1)
    ]
    policy: Any = NAMED[names[0][0]]
    for name, is_or in names[1:]:
        policy = policy | NAMED[name] if is_or else policy & NAMED[name]
    wanted, votes = poll(policy, checkpoints)
    assert wanted == policy.select(checkpoints)
    for checkpoint in checkpoints:
        found = votes[checkpoint.name]
        assert [vote.policy for vote in found] == [repr(NAMED[name]) for name, _ in names]
        keeps = found[0].keeps
        for vote, (_, is_or) in zip(found[1:], names[1:]):
            keeps = keeps or vote.keeps if is_or else keeps and vote.keeps
        assert keeps == (checkpoint.name in wanted)
        assert all(vote.reason for vote in found)


def test_a_metric_that_never_comes_is_warned_of_once(
    open_manager: Any, live: Any, caplog: pytest.LogCaptureFixture
) -> None:
    manager = open_manager(keep=KeepLast(3) | KeepBest("typo"))
    for step in range(1, 6):
        manager.save(step, metrics={"loss": 0.5, "acc": 1}, **live(step).components)
    found = [item.getMessage() for item in caplog.records if "typo" in item.getMessage()]
    assert len(found) == 1
    assert "they have acc, loss" in found[0]


def test_a_lone_ranking_by_a_metric_that_never_comes_is_warned_of(
    open_manager: Any, live: Any, caplog: pytest.LogCaptureFixture
) -> None:
    manager = open_manager(keep=KeepBest("typo"))
    for step in (1, 2):
        manager.save(step, **live(step).components)
    assert "typo" in caplog.text
    assert [item.step for item in manager.checkpoints()] == [2]


def test_what_another_process_reads_stays_until_it_is_done(
    open_manager: Any, live: Any, children: Any, tmp_path: Path
) -> None:
    manager = open_manager(keep=KeepLast(1))
    manager.save(1, **live(1).components)
    ready, done = tmp_path / "ready", tmp_path / "done"
    os.mkfifo(ready)
    os.mkfifo(done)

    def read() -> None:
        reader = open_manager()
        with reader._run.reading(reader.checkpoints()[0]):
            ready.write_text("")  # waits until somebody opens it for reading
            done.read_text()

    pid = children.start(read)
    ready.read_text()
    for step in (2, 3):
        manager.save(step, **live(step).components)
    assert [item.step for item in manager.checkpoints()] == [1, 3]
    assert manager.clean().protected[0].reason == "somebody is reading it"
    done.write_text("")
    children.wait(pid)
    manager.save(4, **live(4).components)
    assert [item.step for item in manager.checkpoints()] == [4]
