"""SIGKILL at every operation of a save, and at random moments of a run that saves in the background."""

from __future__ import annotations

import functools
import hashlib
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch

from hfl_checkpoint import CheckpointManager, KeepBest, KeepLast
from hfl_core import Files

pytestmark = pytest.mark.torture


class DieAt:
    """Kills the process at its n-th operation, counted from 1."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.count = 0

    def __call__(self, operation: str, path: Path) -> None:
        self.count += 1
        if self.count == self.n:
            os.kill(os.getpid(), signal.SIGKILL)


def save_and_die_at(run: Path, live: Any, n: int, *, step: int) -> int:
    manager = CheckpointManager(run, keep=KeepLast(1), background=False)
    state = live()
    manager.resume(**state.components)
    observer = DieAt(n)
    manager._run.files = Files(observer)
    manager.save(step, **state.move_to(step).components)
    return observer.count


def debris(run: Path) -> List[str]:
    """What is left over; a lease that was never written may stay for a minute."""
    inner = [path for name in (".staging", ".trash") for path in (run / name).rglob("*")]
    left = [path for path in inner if path.suffix != ".lease" or path.stat().st_size]
    return sorted(str(path) for path in [*left, *run.glob(".*.tmp")])


def require_whole(run: Path, live: Any, *, steps: set[int]) -> int:
    """Check what a process finds that comes after a kill; return the step that it goes on from."""
    found = CheckpointManager(run, keep=KeepLast(1), background=False)
    newest = found.latest()
    assert newest is not None
    assert newest.step in steps
    for checkpoint in found.checkpoints():
        assert found.verify(checkpoint).ok
    state = live()
    report = found.resume(**state.components)
    assert report is not None
    assert report.quarantined == ()
    assert state.stands_at == newest.step
    found.save(100, **state.move_to(100).components)
    assert [item.name for item in found.checkpoints()] == ["step-00000100"]
    assert [
        path.name for path in run.iterdir() if not path.name.startswith(".") and path.is_dir()
    ] == ["step-00000100"]
    assert debris(run) == []
    return newest.step


@pytest.mark.parametrize("live", ["whole", "frozen"], indirect=True)
def test_a_kill_at_any_operation_leaves_the_last_commit_newest(
    children: Any, live: Any, memory_path: Path, open_manager: Any
) -> None:
    base = memory_path / "base"
    open_manager(base).save(1, **live(1).components)
    found = []
    for n in range(1, 500):
        run = memory_path / str(n)
        shutil.copytree(str(base), str(run))
        operations = children.call(lambda run=run, n=n: save_and_die_at(run, live, n, step=2))
        found.append(require_whole(run, live, steps={1, 2}))
        if operations is not None:
            break
    assert operations is not None
    assert found == sorted(found), "once it is committed, a later kill does not take it back"
    assert found.count(1) > 30, "kills before the commit"
    assert found.count(2) > 4, "kills after the commit, while the old one is deleted"


def test_a_kill_at_any_operation_of_the_first_save_leaves_a_run_that_can_save(
    children: Any, live: Any, memory_path: Path, open_manager: Any
) -> None:
    committed = 0
    for n in range(1, 500):
        run = memory_path / str(n) / "run"
        operations = children.call(lambda run=run, n=n: save_and_die_at(run, live, n, step=1))
        manager = open_manager(run)
        state = live(7)
        report = manager.resume(**state.components)
        if report is None:
            assert state.stands_at == 7, "a fresh start touches nothing"
        else:
            committed += 1
            assert state.stands_at == 1
        manager.save(9, **state.move_to(9).components)
        assert manager.latest().step == 9
        assert debris(run) == []
        if operations is not None:
            break
    assert operations is not None
    assert committed > 1


def train_forever(run: Path, live: Any, acknowledge: int) -> None:
    state = live()
    with CheckpointManager(run, keep=KeepLast(2)) as manager:
        manager.resume(**state.components)
        while True:
            step = state.counters["step"] + 1
            manager.save(step, **state.move_to(step).components)
            # The save before this one was waited for, or restored: it is committed.
            os.write(acknowledge, f"{step - 1}\n".encode())


def test_kills_at_random_moments_lose_nothing_that_was_committed(
    children: Any, live: Any, memory_path: Path
) -> None:
    run = memory_path / "run"
    chance = random.Random(20)
    receive, send = os.pipe()
    acknowledged = newest = 0
    with os.fdopen(receive, "rb", buffering=0) as acknowledgements:
        for kill in range(24):
            child = children.start(lambda: train_forever(run, live, send))
            goal = newest + kill % 3  # some die at once, others after a commit or two of their own
            while acknowledged < goal:
                acknowledged = int(acknowledgements.readline())
            time.sleep(chance.uniform(0.0, 0.06))
            children.kill(child)
            os.write(send, b"end\n")
            for line in iter(acknowledgements.readline, b"end\n"):
                acknowledged = int(line)
            newest = require_nothing_lost(run, live, newest, acknowledged)
    os.close(send)
    assert newest >= 24
    # Each kill between a commit and its clean-up leaves one more than wanted; the next clean-up finds it.
    manager = CheckpointManager(run, keep=KeepLast(2), background=False)
    manager.clean(dry_run=False)
    assert [item.step for item in manager.checkpoints()][-1] == newest
    assert len(manager.checkpoints()) == 2
    assert debris(run) == []


def require_nothing_lost(run: Path, live: Any, newest: int, acknowledged: int) -> int:
    found = CheckpointManager(run, background=False)
    latest = found.latest()
    if latest is None:
        assert acknowledged == newest == 0
        return 0
    assert latest.step >= max(newest, acknowledged), "a commit was lost"
    assert all(found.verify(item).ok for item in found.checkpoints())
    state = live()
    assert found.resume(**state.components).quarantined == ()
    assert state.stands_at == latest.step
    return latest.step


class Training:
    """A training whose every step depends on all steps before it, with tensors that are copied late."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(260, 260), torch.nn.BatchNorm1d(260))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-2)
        self.counters = {"step": 0}

    @property
    def components(self) -> Dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer, "counters": self.counters}

    def advance(self) -> int:
        batch = torch.randn(4, 260, generator=torch.Generator().manual_seed(self.counters["step"]))
        self.optimizer.zero_grad()
        self.model(batch).square().mean().backward()
        self.optimizer.step()
        self.counters["step"] += 1
        return self.counters["step"]

    def digest(self) -> str:
        found = hashlib.sha256()
        for value in self.model.state_dict().values():
            found.update(value.numpy().tobytes())
        for state in self.optimizer.state_dict()["state"].values():
            for value in state.values():
                found.update(value.numpy().tobytes())
        return found.hexdigest()


def digests_of_an_undisturbed_training(steps: int) -> List[str]:
    training = Training()
    found = [training.digest()]
    for _ in range(steps):
        training.advance()
        found.append(training.digest())
    return found


def train_and_die_at(run: Path, operation: int, steps: int, when_busy: str) -> None:
    training = Training()
    keep = KeepLast(2) | KeepBest("loss", n=1)
    with CheckpointManager(run, keep=keep, when_busy=when_busy) as manager:
        manager.resume(**training.components)
        manager._run.files = Files(DieAt(operation))
        while training.counters["step"] < steps:
            step = training.advance()
            manager.save(step, metrics={"loss": -step % 7}, **training.components)
    os.kill(os.getpid(), signal.SIGKILL)


def require_exact(run: Path, digests: List[str], newest: int) -> int:
    """Resume, and compare with the training that was never killed; return the step."""
    manager = CheckpointManager(run, background=False)
    assert all(manager.verify(item).ok for item in manager.checkpoints())
    training = Training()
    report = manager.resume(**training.components)
    step = training.counters["step"]
    assert step >= newest, "a commit was lost"
    assert report is None or (report.checkpoint.step, report.quarantined) == (step, ())
    assert training.digest() == digests[step]
    return step


def test_sixty_kills_of_a_real_training_change_no_bit(children: Any, memory_path: Path) -> None:
    run = memory_path / "run"
    steps = 150
    chance = random.Random(5)
    digests = children.call(lambda: digests_of_an_undisturbed_training(steps))
    newest = 0
    for kill in range(60):
        operation = chance.randint(1, 130)  # a save with its clean-up has about 40
        when_busy = ("wait", "coalesce")[kill % 2]
        die = functools.partial(train_and_die_at, run, operation, steps, when_busy)
        assert os.WTERMSIG(children.wait(children.start(die))) == signal.SIGKILL
        newest = children.call(functools.partial(require_exact, run, digests, newest))
    assert newest > 10
    assert children.call(lambda: whole_run(run, steps)) == digests[-1]


def whole_run(run: Path, steps: int) -> str:
    training = Training()
    with CheckpointManager(run, keep=KeepLast(2)) as manager:
        manager.resume(**training.components)
        while training.counters["step"] < steps:
            training.advance()
        manager.save(steps, **training.components)
    assert debris(run) == []
    return training.digest()
