"""Ctrl-C at any moment of any work leaves a directory that the next process goes on with."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from hfl_checkpoint import CheckpointDamagedError, CheckpointManager, KeepLast
from hfl_checkpoint._run_lock import RunLock
from hfl_checkpoint._verify import verify
from hfl_core import Files

POINTS = 50


def work(manager: CheckpointManager, state: Any, rounds: int) -> None:
    """Save, restore, verify, pin and clean, over and over."""
    manager.resume(**state.components)
    first = state.counters["step"] + 1
    for step in range(first, first + rounds):
        manager.save(step, **state.move_to(step).components)
        manager.pin("latest", "newest")
        manager.restore(**state.components)
        manager.verify()
        manager.unpin("latest")
        manager.clean(dry_run=False)


@pytest.mark.torture
@pytest.mark.parametrize("background", [False, True])
def test_an_interrupt_at_any_moment_leaves_a_directory_that_works(
    background: bool, children: Any, open_manager: Any, live: Any, run_path: Path
) -> None:
    chance = random.Random(7)
    open_manager(keep=KeepLast(2)).save(1, **live(1).components)
    interrupted = 0
    for point in range(POINTS // 2):
        delay = chance.uniform(0.0005, 0.12)

        def train(delay: float = delay) -> Any:
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            manager = CheckpointManager(
                run_path, keep=KeepLast(2), background=background, metadata={}
            )
            state = live()
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                work(manager, state, 40)
            except (KeyboardInterrupt, CheckpointDamagedError, RuntimeError) as error:
                # Torch's readers may turn an interrupt into an error of their own ("could not determine the
                # shape"), and so may the start of a thread in Python. The program goes on all the same, with
                # the same manager, as a notebook does.
                if isinstance(error, RuntimeError) and "unlocked lock" not in str(error):
                    raise
                signal.setitimer(signal.ITIMER_REAL, 0)
                manager.restore(**state.components)
                step = state.stands_at + 1
                manager.save(step, **state.move_to(step).components)
                manager.close()
                return step
            signal.setitimer(signal.ITIMER_REAL, 0)
            return None

        answer = children.call(train)
        fresh = open_manager(keep=KeepLast(2))
        state = live()
        report = fresh.resume(**state.components)
        assert report.quarantined == (), f"point {point}"
        if answer is not None:
            interrupted += 1
            assert answer == state.stands_at, f"point {point}"
        assert all(verify(item.path).ok for item in fresh.checkpoints())
    assert interrupted > POINTS // 4
    fresh = open_manager(keep=KeepLast(1))
    fresh.resume(**live().components)
    for item in fresh.checkpoints():
        fresh.unpin(item)
    for lease in (run_path / ".leases").iterdir():  # one that was half written holds for a minute
        os.utime(lease, (0, 0))
    plan = fresh.clean(dry_run=False)
    assert len(fresh.checkpoints()) == 1, plan
    assert list((run_path / ".leases").iterdir()) == []
    assert list((run_path / ".trash").iterdir()) == []
    assert {path.suffix for path in (run_path / ".staging").iterdir()} <= {".lease"}


@pytest.mark.torture
def test_an_interrupt_at_any_operation_of_a_save_leaves_the_one_before_or_the_new_one(
    open_manager: Any, live: Any, memory_path: Path
) -> None:
    n, is_over = 1, False
    while not is_over:
        run = memory_path / str(n)
        manager = open_manager(run, keep=KeepLast(1))
        manager.save(1, **live(1).components)
        count = 0

        def interrupt(_: str, __: Path, n: int = n) -> None:
            nonlocal count
            count += 1
            if count == n:
                raise KeyboardInterrupt

        manager._run.files = Files(interrupt)
        try:
            manager.save(2, **live(2).components)
            is_over = count < n
        except KeyboardInterrupt:
            assert [item.step for item in manager.checkpoints()] in ([1], [1, 2], [2]), n
        manager._run.files = Files()
        manager.save(3, **live(3).components)
        assert [item.step for item in manager.checkpoints()] == [3]
        assert [*(run / ".staging").iterdir(), *(run / ".trash").iterdir()] == []
        n += 3
    assert n > 40


def test_a_lock_that_an_interrupt_left_behind_is_taken_back(
    open_manager: Any, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = open_manager()
    manager.save(1, **live(1).components)
    acquire = RunLock.acquire

    def interrupted(lock: Any, *args: Any, **options: Any) -> Any:
        acquire(lock, *args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunLock, "acquire", interrupted)
        with pytest.raises(
            KeyboardInterrupt
        ) as kept:  # and its traceback with it, as in a notebook
            manager.save(2, **live(2).components)
    entered = manager._run.lock()
    entered.__enter__()  # the interrupt comes before the block that would give it back
    # A lock that somebody holds is waited for: here nobody does, so no time is needed.
    monkeypatch.setattr("hfl_checkpoint._run._LOCK_SECONDS", 0.0)
    manager.save(2, **live(2).components)
    assert manager.latest().step == 2
    assert kept.type is KeyboardInterrupt
