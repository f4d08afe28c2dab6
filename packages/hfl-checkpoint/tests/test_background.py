"""Saves that run beside the training: what they hold, and how they end."""

from __future__ import annotations

import errno
import os
import signal
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
from hfl_checkpoint._manifest import read_manifest
from hfl_checkpoint.errors import CheckpointExistsError, SaveSkippedError, UnknownTypeError
from hfl_core import ConfigError, DiskSpaceError, Files


class Gate:
    """Holds the writing thread at the first file that it creates, until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()
        self.failure: BaseException | None = None
        self.failures = 100

    def __call__(self, operation: str, path: Path) -> None:
        if operation == "create" and path.name == "model.safetensors":
            self.reached.set()
            assert self._open.wait(60)
            if self.failure is not None and self.failures > 0:
                self.failures -= 1
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
    assert manager.skipped == (2,)
    gate.let_through()
    first.result()
    third = manager.step(state.move_to(3))
    assert third.result().step == 3
    assert [item.step for item in manager.checkpoints()] == [1, 3]


def test_a_busy_manager_waits_otherwise_and_says_so(
    open_manager: Any, live: Any, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
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
    assert manager.skipped == ()
    assert "saving takes longer than the training between two saves" in caplog.text


def test_the_old_checkpoint_stays_until_the_new_one_is_complete(
    open_manager: Any, live: Any, gate: Gate
) -> None:
    manager = open_manager(background=True, keep=KeepLast(1))
    manager.save(1, **live(1).components).result()
    manager._run.files = Files(gate)
    pending = manager.save(2, **live(2).components)
    assert gate.reached.wait(60)
    assert [item.step for item in manager.checkpoints()] == [1]
    gate.let_through()
    pending.result()
    assert [item.step for item in manager.checkpoints()] == [2]


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


def test_results_come_in_the_order_of_the_saves(open_manager: Any, live: Any) -> None:
    manager = open_manager(background=True)
    pending: List[PendingCheckpoint] = [
        manager.save(step, **live(step).components) for step in (3, 1, 2)
    ]
    assert [item.result().sequence for item in pending] == [1, 2, 3]
    assert [item.step for item in manager.checkpoints()] == [3, 1, 2]


def test_what_was_skipped_is_made_up_for_at_the_next_step(
    open_manager: Any, live: Any, gate: Gate
) -> None:
    manager = open_manager(background=True, observer=gate, save=EverySteps(10), when_busy="skip")
    state = State(live())
    first = manager.step(state.move_to(10))
    assert gate.reached.wait(60)
    assert [manager.step(state.move_to(step)) for step in (19, 20, 21, 22)] == [None] * 4
    gate.let_through()
    first.result()
    assert manager.step(state.move_to(23)).result().reason == "interval"
    assert manager.step(state.move_to(24)) is None
    assert [item.step for item in manager.checkpoints()] == [10, 23]
    assert manager.skipped == (20,)


def test_of_the_saves_that_wait_the_newest_is_written(
    open_manager: Any, live: Any, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    manager = open_manager(background=True, observer=gate, save=EverySteps(1), when_busy="coalesce")
    state = State(live())
    manager.step(state.move_to(1))
    assert gate.reached.wait(60)
    pending = [manager.step(state.move_to(step)) for step in (2, 3, 4)]
    state.move_to(5)
    for item, newer in zip(pending, (3, 4)):
        with pytest.raises(SaveSkippedError, match=f"step {newer} took its place") as caught:
            item.result(60)
        assert (caught.value.step, caught.value.newer) == (item.step, newer)
    assert not pending[2].done()
    gate.let_through()
    manager.wait()
    assert manager.skipped == (2, 3)
    assert "step 3 is not saved: step 4 takes its place" in caplog.text
    for step in (1, 4):
        restored = live()
        manager.restore(step, **restored.components)
        assert restored.stands_at == step
    first, last = manager.checkpoints()
    assert (first.step, last.step) == (1, 4)
    assert read_manifest(last.path).parent == first.name


def test_a_save_that_waits_is_written_when_the_block_ends(
    run_path: Path, live: Any, gate: Gate
) -> None:
    state = live()
    with CheckpointManager(run_path, when_busy="coalesce") as manager:
        manager._run.files = Files(gate)
        manager.save(1, **state.move_to(1).components)
        assert gate.reached.wait(60)
        manager.save(2, **state.move_to(2).components)
        state.move_to(3)
        opener = threading.Timer(0.1, gate.let_through)
        opener.start()
    opener.join()
    restored = live()
    CheckpointManager(run_path).resume(**restored.components)
    assert restored.stands_at == 2


def test_a_save_that_waits_is_written_although_the_one_before_it_fails(
    open_manager: Any, live: Any, gate: Gate
) -> None:
    manager = open_manager(background=True, observer=gate, when_busy="coalesce")
    gate.failure = no_space()
    manager.save(1, **live(1).components)
    assert gate.reached.wait(60)
    second = manager.save(2, **live(2).components)
    gate.failures = 1
    gate.let_through()
    assert second.result(60).step == 2
    with pytest.raises(DiskSpaceError, match="step 1"):
        manager.wait()
    manager.wait()
    assert [item.step for item in manager.checkpoints()] == [2]


def test_a_save_that_cannot_be_captured_leaves_the_one_that_waits(
    open_manager: Any, live: Any, gate: Gate
) -> None:
    manager = open_manager(background=True, observer=gate, when_busy="coalesce")
    manager.save(1, **live(1).components)
    assert gate.reached.wait(60)
    second = manager.save(2, **live(2).components)
    with pytest.raises(UnknownTypeError):
        manager.save(3, things={"function": print})
    gate.let_through()
    assert second.result(60).step == 2


@pytest.mark.parametrize("when_busy", ["wait", "coalesce"])
def test_a_step_is_saved_once(open_manager: Any, live: Any, gate: Gate, when_busy: str) -> None:
    manager = open_manager(background=True, when_busy=when_busy)
    manager.save(1, **live(1).components)
    with pytest.raises(CheckpointExistsError, match="already saved as 'step-00000001'"):
        manager.save(1, **live(1).components)


def test_coalesced_saves_under_load_are_whole_and_in_order(open_manager: Any, live: Any) -> None:
    manager = open_manager(background=True, when_busy="coalesce")
    state = live()
    for step in range(1, 61):
        manager.save(step, **state.move_to(step).components)
    manager.wait()
    saved = [item.step for item in manager.checkpoints()]
    assert saved == sorted(saved)
    assert saved[-1] == 60
    assert sorted([*saved, *manager.skipped]) == list(range(1, 61))
    for step in saved:
        restored = live()
        manager.restore(step, **restored.components)
        assert restored.stands_at == step


def test_two_failures_are_told_one_after_the_other(
    open_manager: Any, live: Any, gate: Gate
) -> None:
    manager = open_manager(background=True, observer=gate, when_busy="coalesce")
    gate.failure = no_space()
    manager.save(1, **live(1).components)
    assert gate.reached.wait(60)
    last = manager.save(2, **live(2).components)
    gate.let_through()
    last.wait()
    for step in (1, 2):
        with pytest.raises(DiskSpaceError, match=f"step {step}"):
            manager.wait()
    manager.wait()


def test_one_who_never_waits_is_told_of_a_timeout_over_all_saves(
    open_manager: Any, live: Any, gate: Gate
) -> None:
    manager = open_manager(background=True, observer=gate, when_busy="coalesce")
    manager.save(1, **live(1).components)
    assert gate.reached.wait(60)
    pending = manager.save(2, **live(2).components)
    with pytest.raises(TimeoutError, match=r"Step 1 was not saved within 0\.01 s"):
        manager.wait(0.01)
    assert pending.error() is None
    gate.let_through()
    manager.wait()


def test_an_unknown_way_to_be_busy_or_to_copy_is_refused(run_path: Path) -> None:
    for arguments in ({"when_busy": "hurry"}, {"snapshot": "later"}, {"when_full": "panic"}):
        (name,) = arguments
        with pytest.raises(ConfigError, match=f"There is no {name}="):
            CheckpointManager(run_path, **arguments)
