"""One save at a time on a thread of its own, and at most one that waits for its turn."""

from __future__ import annotations

import _thread
import threading
import time
from typing import Callable, List, Tuple, cast

from hfl_checkpoint import _endings
from hfl_checkpoint._checkpoint import Checkpoint
from hfl_checkpoint.errors import SaveSkippedError
from hfl_core import SteadyEvent

_Job = Tuple["PendingCheckpoint", Callable[[], Checkpoint]]


class PendingCheckpoint:
    """A save that is under way in the background.

    Attributes:
        step: The step that is being saved.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self._is_over = SteadyEvent()
        self._checkpoint: Checkpoint | None = None
        self._error: BaseException | None = None
        self._is_begun = False

    def done(self) -> bool:
        """Whether the save has ended, well or not."""
        return self._is_over.is_set()

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
        if self._checkpoint is None:
            raise cast(BaseException, self._error)
        return self._checkpoint

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the save has ended, well or not.

        Args:
            timeout: Seconds to wait at most; None waits as long as it takes.

        Raises:
            TimeoutError: It has not.
        """
        if not self._is_over.wait(timeout):
            raise TimeoutError(f"Step {self.step} was not saved within {timeout} s.")

    def error(self) -> BaseException | None:
        """What went wrong with a save that has ended, without raising it."""
        return self._error

    def _run(self, save: Callable[[], Checkpoint]) -> None:
        try:
            checkpoint = save()
        except BaseException as error:  # noqa: BLE001  # whoever asks for the result gets it
            self._end(error)
        else:
            _endings.settle(self)
            self._checkpoint = checkpoint
            self._is_over.set()

    def _skip(self, newer: int) -> None:
        _endings.settle(self)  # nothing went wrong with it
        self._end(SaveSkippedError(self.step, newer=newer))

    def _end(self, error: BaseException) -> None:
        self._error = error
        self._is_over.set()


class BackgroundSaver:
    """Runs saves one after the other; an error is kept until somebody asks."""

    def __init__(self) -> None:
        _endings.watch_the_end()
        self._turn = threading.Lock()
        self._worker: object | None = None
        self._queue: List[_Job] = []
        self._asked_for: List[PendingCheckpoint] = []

    @property
    def is_busy(self) -> bool:
        """Whether a save is under way."""
        return any(not pending.done() for pending in self._asked_for)

    def start(self, step: int, save: Callable[[], Checkpoint]) -> PendingCheckpoint:
        """Begin a save; when one is under way, it is begun after that."""
        pending = PendingCheckpoint(step)
        worker: object | None = None
        try:
            self._asked_for.append(pending)
            _endings.expect(pending)
            with self._turn:
                self._queue.append((pending, save))
                if self._worker is None:
                    worker = self._worker = object()
            if worker is not None:
                self._start(worker)
        except BaseException as error:
            self._forget(pending, worker, error)
            raise
        return pending

    def _start(self, worker: object) -> None:
        # A thread for each save, so that none is idle when the program ends or forks. Not one of
        # `threading`, whose start waits for a condition, which an interrupt may leave locked; the end
        # of the program waits for the save, not for the thread.
        try:
            _thread.start_new_thread(self._work, (worker,))
        except RuntimeError:  # the interpreter is ending, and starts no threads any more
            self._work(worker)

    def _forget(
        self, pending: PendingCheckpoint, worker: object | None, error: BaseException
    ) -> None:
        """Take back a save that was interrupted before it was begun: nobody is to wait for it."""
        with self._turn:
            if pending._is_begun:
                return  # the thread has it already, and finishes it
            self._queue = [job for job in self._queue if job[0] is not pending]
            if worker is not None and self._worker is worker:
                self._worker = None  # its thread, if there is one, finds that it is nobody's
        if pending in self._asked_for:
            self._asked_for.remove(pending)
        _endings.settle(pending)
        pending._end(error)

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

    def _work(self, worker: object) -> None:
        while True:
            with self._turn:
                if self._worker is not worker:
                    return
                if not self._queue:
                    self._worker = None
                    return
                pending, save = self._queue.pop(0)
                pending._is_begun = True
            pending._run(save)
            del pending, save  # and with them the snapshot, before waiting for the lock
