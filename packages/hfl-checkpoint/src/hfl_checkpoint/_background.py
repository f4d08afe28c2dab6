"""One save at a time on a thread of its own, and at most one that waits for its turn."""

from __future__ import annotations

import concurrent.futures
import math
import threading
import time
from typing import Callable, List, Tuple

from hfl_checkpoint import _endings
from hfl_checkpoint._checkpoint import Checkpoint
from hfl_checkpoint.errors import SaveSkippedError

_SLICE = 1.0  # seconds

_Job = Tuple["PendingCheckpoint", Callable[[], Checkpoint]]


class PendingCheckpoint:
    """A save that is under way in the background.

    Attributes:
        step: The step that is being saved.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self._future: concurrent.futures.Future[Checkpoint] = concurrent.futures.Future()

    def done(self) -> bool:
        """Whether the save has ended, well or not."""
        return self._future.done()

    def result(self, timeout: float | None = None) -> Checkpoint:
        """Wait for the checkpoint.

        Args:
            timeout: Seconds to wait at most; None waits as long as it takes.

        Returns:
            The committed checkpoint.

        Raises:
            TimeoutError: It was not committed in time; it still may be.
            SaveSkippedError: A newer save took its place before it was begun.
            HflError: What went wrong with the save.
        """
        self.wait(timeout)
        _endings.settle(self)
        return self._future.result()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the save has ended, well or not.

        Args:
            timeout: Seconds to wait at most; None waits as long as it takes.

        Raises:
            TimeoutError: It has not.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        # In slices: a Ctrl-C that comes just before a wait begins does not end that wait.
        # Not Future.result(timeout): a save that fails with a TimeoutError looks the same there.
        while not self._wait_for(min(_SLICE, end - time.monotonic())):
            if time.monotonic() >= end:
                raise TimeoutError(f"Step {self.step} was not saved within {timeout} s.")

    def _wait_for(self, seconds: float) -> bool:
        return bool(concurrent.futures.wait([self._future], max(0.0, seconds)).done)

    def error(self) -> BaseException | None:
        """What went wrong with a save that has ended, without raising it."""
        return self._future.exception() if self._future.done() else None

    def _run(self, save: Callable[[], Checkpoint]) -> None:
        try:
            checkpoint = save()
        except BaseException as error:  # noqa: BLE001  # whoever asks for the result gets it
            self._future.set_exception(error)
        else:
            _endings.settle(self)
            self._future.set_result(checkpoint)

    def _skip(self, newer: int) -> None:
        _endings.settle(self)  # nothing went wrong with it
        self._future.set_exception(SaveSkippedError(self.step, newer=newer))


class BackgroundSaver:
    """Runs saves one after the other; an error is kept until somebody asks."""

    def __init__(self) -> None:
        _endings.watch_the_end()
        self._turn = threading.Lock()
        self._is_running = False
        self._queue: List[_Job] = []
        self._asked_for: List[PendingCheckpoint] = []

    @property
    def is_busy(self) -> bool:
        """Whether a save is under way."""
        return any(not pending.done() for pending in self._asked_for)

    def start(self, step: int, save: Callable[[], Checkpoint]) -> PendingCheckpoint:
        """Begin a save; when one is under way, it is begun after that."""
        pending = PendingCheckpoint(step)
        thread: threading.Thread | None = None
        try:
            self._asked_for.append(pending)
            _endings.expect(pending)
            with self._turn:
                self._queue.append((pending, save))
                if not self._is_running:
                    # A thread for each save, so that none is idle when the program ends or forks. The
                    # interpreter waits for it when it ends, so a save that was begun is finished.
                    thread = threading.Thread(
                        target=self._work, name="hfl-checkpoint", daemon=False
                    )
                    self._is_running = True
            if thread is not None:
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is ending, and starts no threads any more
                    self._work()
        except BaseException as error:
            self._forget(pending, thread, error)
            raise
        return pending

    def _forget(
        self, pending: PendingCheckpoint, thread: threading.Thread | None, error: BaseException
    ) -> None:
        """Take back a save that was interrupted before it was begun: nobody is to wait for it."""
        with self._turn:
            if thread is not None and not thread.is_alive():
                self._is_running = False  # it never was
            if any(item is pending for item, _ in self._queue) or not self._is_running:
                self._queue = [job for job in self._queue if job[0] is not pending]
            elif thread is not None:
                return  # the thread has it already, and finishes it
        if pending in self._asked_for:
            self._asked_for.remove(pending)
        _endings.settle(pending)
        if not pending.done():
            pending._future.set_exception(error)

    def withdraw(self, newer: int) -> PendingCheckpoint | None:
        """Take back the save that waits for its turn, if there is one.

        Args:
            newer: The step that is saved in its place.

        Returns:
            What was taken back.
        """
        with self._turn:
            if not self._queue:
                return None
            pending, _ = self._queue.pop()
        self._asked_for.remove(pending)
        pending._skip(newer)
        return pending

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the saves under way, and raise what went wrong with one, once."""
        end = None if timeout is None else time.monotonic() + timeout
        for pending in list(self._asked_for):
            # Whoever interrupts the waiting does not end the save: it stays pending.
            try:
                pending.wait(None if end is None else max(0.0, end - time.monotonic()))
            except TimeoutError:
                raise TimeoutError(
                    f"Step {pending.step} was not saved within {timeout} s."
                ) from None
        self.raise_error()

    def settle(self) -> None:
        """Wait for the saves under way, and raise nothing."""
        for pending in list(self._asked_for):
            pending.wait()

    def raise_error(self) -> None:
        """Raise what went wrong with a save that has ended, once."""
        for pending in list(self._asked_for):
            if pending.done():
                self._asked_for.remove(pending)
                pending.result()

    def newest(self) -> PendingCheckpoint | None:
        """The save that was asked for last, if nobody has looked at its end."""
        return self._asked_for[-1] if self._asked_for else None

    def _work(self) -> None:
        while True:
            with self._turn:
                if not self._queue:
                    self._is_running = False
                    return
                pending, save = self._queue.pop(0)
            pending._run(save)
            del pending, save  # and with them the snapshot, before waiting for the lock
