"""One save at a time on a thread of its own."""

from __future__ import annotations

import concurrent.futures
from typing import Callable

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
        try:
            return self._future.result(timeout)
        except concurrent.futures.TimeoutError:
            # The class is the built-in one only since Python 3.11.
            raise TimeoutError(f"Step {self.step} was not saved within {timeout} s.") from None


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
        self._pending = PendingCheckpoint(step, self._executor.submit(save))
        return self._pending

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the save under way, and raise what went wrong with it, once."""
        pending = self._pending
        if pending is None:
            return
        try:
            pending.result(timeout)
        except TimeoutError:
            raise
        except BaseException:
            self._pending = None
            raise
        self._pending = None

    def raise_error(self) -> None:
        """Raise what went wrong with a save that has ended, once."""
        if self._pending is not None and self._pending.done():
            self.wait()

    def close(self) -> None:
        """Wait for the save under way without looking at how it ends, and end the thread."""
        self._executor.shutdown(wait=True)
