"""One save at a time on a thread of its own."""

from __future__ import annotations

import atexit
import concurrent.futures
import functools
import os
from typing import Callable, Set

from hfl_checkpoint._checkpoint import Checkpoint


class PendingCheckpoint:
    """A save that is under way in the background.

    Attributes:
        step: The step that is being saved.
    """

    def __init__(self, step: int, future: concurrent.futures.Future[Checkpoint]) -> None:
        self.step = step
        self._future = future

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
            HflError: What went wrong with the save.
        """
        self.wait(timeout)
        _unseen.discard(self)
        return self._future.result()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the save has ended, well or not.

        Args:
            timeout: Seconds to wait at most; None waits as long as it takes.

        Raises:
            TimeoutError: It has not.
        """
        # Not Future.result(timeout): a save that fails with a TimeoutError looks the same there.
        if not concurrent.futures.wait([self._future], timeout).done:
            raise TimeoutError(f"Step {self.step} was not saved within {timeout} s.")

    def _forget_success(self, future: concurrent.futures.Future[Checkpoint]) -> None:
        if future.exception() is None:
            _unseen.discard(self)


# Saves under way, and failed ones whose error nobody was told: a program may end without asking.
_unseen: Set[PendingCheckpoint] = set()


@functools.lru_cache(maxsize=None)
def _ask_at_exit() -> None:
    atexit.register(_raise_unseen)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_unseen.clear)  # no thread of a fork would finish them


def _raise_unseen() -> None:
    # Python prints what an exit handler raises.
    for pending in list(_unseen):
        pending.result()


class BackgroundSaver:
    """Runs saves one after the other; an error is kept until somebody asks."""

    def __init__(self) -> None:
        # The interpreter waits for this thread when it ends, so a save that was begun is finished.
        self._executor = concurrent.futures.ThreadPoolExecutor(1, "hfl-checkpoint")
        self._pending: PendingCheckpoint | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a save is under way."""
        return self._pending is not None and not self._pending.done()

    def start(self, step: int, save: Callable[[], Checkpoint]) -> PendingCheckpoint:
        """Begin a save; the one before it must have been waited for."""
        _ask_at_exit()
        future = self._executor.submit(save)
        pending = self._pending = PendingCheckpoint(step, future)
        _unseen.add(pending)
        future.add_done_callback(pending._forget_success)
        return pending

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the save under way, and raise what went wrong with it, once."""
        pending = self._pending
        if pending is None:
            return
        # Whoever interrupts the waiting does not end the save: it stays pending.
        pending.wait(timeout)
        if self._pending is pending:
            self._pending = None
            pending.result()

    def raise_error(self) -> None:
        """Raise what went wrong with a save that has ended, once."""
        if self._pending is not None and self._pending.done():
            self.wait()

    def close(self) -> None:
        """Wait for the save under way without looking at how it ends, and end the thread."""
        self._executor.shutdown(wait=True)
