"""Saves that run beside the training: what they hold, and how they end."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from hfl_checkpoint import (
    Checkpoint,
    CheckpointManager,
    EverySteps,
    KeepLast,
    PendingCheckpoint,
)
from hfl_core import DiskSpaceError, Files


class Gate:
    """Holds the writing thread at the first file that it creates, until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()
        self.failure: BaseException | None = None

    def __call__(self, operation: str, path: Path) -> None:
        if operation == "create" and path.name == "model.safetensors":
            self.reached.set()
            assert self._open.wait(60)
            if self.failure is not None:
                raise self.failure

    def let_through(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    found = Gate()
    yield found
    found.let_through()  # whatever happens, the writing thread ends


class State:
    """A training state as `step` and `resume` take it."""

    def __init__(self, live: Any) -> None:
        self.live = live
        self.step = 0
        self.epoch = None

    def move_to(self, step: int) -> State:
        self.step = step
        self.live.move_to(step)
        return self

    def components(self) -> Any:
        return self.live.components


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_is_saved_is_the_state_at_the_time_of_the_call(
    open_manager: Any, live: Any, gate: Gate
) -> None:
    manager = open_manager(background=True, observer=gate)
    state = live(5)
    metrics = {"loss": 0.5}
    pending = manager.save(5, metrics=metrics, **state.components)
    assert gate.reached.wait(60)
    for step in range(6, 11):
        state.move_to(step)
    metrics["loss"] = 9.9
    assert not pending.done()
    gate.let_through()
    saved = pending.result()
    assert pending.done()
    assert isinstance(saved, Checkpoint)
    assert (pending.step, saved.step, saved.metrics) == (5, 5, {"loss": 0.5})
    assert state.stands_at == 10
    restored = live()
    manager.restore(saved, **restored.components)
    assert restored.stands_at == 5


def test_the_memory_of_the_snapshot_is_used_again_only_after_the_save_before(
    open_manager: Any, live: Any, memory_path: Path
) -> None:
    manager = open_manager(background=True)
    state = live()
    pending = [manager.save(s, **state.move_to(s).components) for s in range(1, 21)]
    for item in pending:
        restored = live()
        manager.restore(item.result(), **restored.components)
        assert restored.stands_at == item.step


def test_an_interrupted_wait_does_not_let_the_next_save_into_the_snapshot(
    open_manager: Any, live: Any, gate: Gate
) -> None:
    manager = open_manager(background=True, observer=gate)
    state = live(1)
    pending = manager.save(1, **state.components)
    assert gate.reached.wait(60)
    # Ctrl-C while the training waits for the save, as a person would press it.
    presser = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        manager.wait()
    presser.join()
    opener = threading.Timer(0.2, gate.let_through)
    opener.start()
    manager.save(2, **state.move_to(2).components)
    opener.join()
    assert pending.done(), "the second save has waited for the first"
    restored = live()
    manager.restore(1, **restored.components)
    assert restored.stands_at == 1


@pytest.mark.parametrize("ask", ["step", "save", "wait", "close", "restore", "clean"])
def test_an_error_comes_up_at_the_next_call_once(
    ask: str, open_manager: Any, live: Any, gate: Gate
) -> None:
    manager = open_manager(background=True, observer=gate)
    gate.failure = no_space()
    state = State(live(1))
    pending = manager.save(1, **state.components())
    gate.let_through()
    pending.wait()
    calls = {
        "step": lambda: manager.step(state.move_to(2)),
        "save": lambda: manager.save(2, **state.components()),
        "wait": manager.wait,
        "close": manager.close,
        "restore": lambda: manager.restore(**state.components()),
        "clean": manager.clean,
    }
    with pytest.raises(DiskSpaceError, match="Could not save step 1"):
        calls[ask]()
    manager.wait()
    manager.close()
    assert manager.latest() is None


def test_a_save_that_failed_is_not_counted_and_the_next_one_works(
    open_manager: Any, live: Any, gate: Gate
) -> None:
    manager = open_manager(background=True, keep=KeepLast(1))
    manager.save(1, **live(1).components).result()
    manager._run.files = Files(gate)
    gate.failure = no_space()
    gate.let_through()
    pending = manager.save(2, **live(2).components)
    with pytest.raises(DiskSpaceError):
        pending.result()
    with pytest.raises(DiskSpaceError):
        manager.wait()
    assert manager.latest().step == 1
    gate.failure = None
    assert manager.save(2, **live(2).components).result().sequence == 2


def test_a_timeout_of_the_disk_is_an_error_like_others(
    open_manager: Any, live: Any, gate: Gate
) -> None:
    manager = open_manager(background=True, observer=gate)
    gate.failure = TimeoutError(errno.ETIMEDOUT, "the network drive is gone")
    gate.let_through()
    pending = manager.save(1, **live(1).components)
    with pytest.raises(TimeoutError, match="the network drive is gone"):
        pending.result(60)
    with pytest.raises(TimeoutError, match="the network drive is gone"):
        manager.wait(60)
    manager.wait()


def test_waiting_ends_after_the_timeout_and_the_save_goes_on(
    open_manager: Any, live: Any, gate: Gate
) -> None:
    manager = open_manager(background=True, observer=gate)
    pending = manager.save(1, **live(1).components)
    with pytest.raises(TimeoutError, match=r"Step 1 was not saved within 0\.01 s"):
        pending.result(timeout=0.01)
    with pytest.raises(TimeoutError):
        manager.wait(timeout=0.01)
    gate.let_through()
    manager.wait()
    assert pending.result(timeout=0).step == 1


def test_a_busy_manager_skips_what_is_due_when_told_to(
    open_manager: Any, live: Any, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    manager = open_manager(background=True, observer=gate, save=EverySteps(1), when_busy="skip")
    state = State(live())
    first = manager.step(state.move_to(1), loss=0.5)
    assert isinstance(first, PendingCheckpoint)
    assert gate.reached.wait(60)
    assert manager.step(state.move_to(2)) is None
    assert "step 2 is not saved: an earlier save is still being written" in caplog.text
    gate.let_through()
    first.result()
    third = manager.step(state.move_to(3))
    assert third.result().step == 3
    assert [item.step for item in manager.checkpoints()] == [1, 3]


def test_a_busy_manager_waits_otherwise(open_manager: Any, live: Any, gate: Gate) -> None:
    manager = open_manager(background=True, observer=gate, save=EverySteps(1))
    state = State(live())
    manager.step(state.move_to(1))
    assert gate.reached.wait(60)
    opener = threading.Timer(0.1, gate.let_through)
    opener.start()
    manager.step(state.move_to(2))
    opener.join()
    manager.wait()
    assert [item.step for item in manager.checkpoints()] == [1, 2]


def test_the_end_of_the_block_finishes_the_save(run_path: Path, live: Any, gate: Gate) -> None:
    with CheckpointManager(run_path) as manager:
        manager._run.files = Files(gate)
        pending = manager.save(1, **live(1).components)
        opener = threading.Timer(0.1, gate.let_through)
        opener.start()
    opener.join()
    assert pending.done()
    assert CheckpointManager(run_path).latest().step == 1


def test_the_end_of_the_block_raises_what_went_wrong(run_path: Path, live: Any, gate: Gate) -> None:
    gate.failure = no_space()
    gate.let_through()

    def train() -> None:
        with CheckpointManager(run_path) as manager:
            manager._run.files = Files(gate)
            manager.save(1, **live(1).components)

    with pytest.raises(DiskSpaceError, match="step 1"):
        train()


def test_an_error_in_the_block_is_the_one_that_is_seen(
    run_path: Path, live: Any, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    gate.failure = no_space()
    gate.let_through()

    def train() -> None:
        with CheckpointManager(run_path) as manager:
            manager._run.files = Files(gate)
            manager.save(1, **live(1).components)
            raise ZeroDivisionError("the training's own")

    with pytest.raises(ZeroDivisionError, match="the training's own"):
        train()
    assert "the last save failed as well" in caplog.text


def test_an_error_in_the_block_still_finishes_the_save(run_path: Path, live: Any) -> None:
    def train() -> None:
        with CheckpointManager(run_path) as manager:
            manager.save(1, **live(1).components)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train()
    assert CheckpointManager(run_path).latest().step == 1


PROGRAM = """
    import sys, threading
    from hfl_checkpoint import CheckpointManager
    from hfl_core import Files

    has_come_to_its_end = threading.Event()

    def slowly(operation, path):
        if operation == "create" and path.name == "counters.json":
            has_come_to_its_end.wait(60)
            if sys.argv[2] == "fail":
                raise OSError(28, "No space left on device")

    def train():
        manager = CheckpointManager(sys.argv[1])
        manager._run.files = Files(slowly)
        manager.save(1, counters={"seen": 1})

    train()
    has_come_to_its_end.set()
"""


def run_program(run: Path, mode: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(run), mode],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_program_that_ends_finishes_the_save_first(run_path: Path) -> None:
    ended = run_program(run_path, "work")
    assert (ended.returncode, ended.stderr) == (0, "")
    found = CheckpointManager(run_path)
    assert found.load()["counters"] == {"seen": 1}


def test_a_program_that_ends_says_what_went_wrong_with_its_last_save(run_path: Path) -> None:
    ended = run_program(run_path, "fail")
    assert "DiskSpaceError: Could not save step 1" in ended.stderr
    assert CheckpointManager(run_path).latest() is None


def test_results_come_in_the_order_of_the_saves(open_manager: Any, live: Any) -> None:
    manager = open_manager(background=True)
    pending: List[PendingCheckpoint] = [
        manager.save(step, **live(step).components) for step in (3, 1, 2)
    ]
    assert [item.result().sequence for item in pending] == [1, 2, 3]
    assert [item.step for item in manager.checkpoints()] == [3, 1, 2]
