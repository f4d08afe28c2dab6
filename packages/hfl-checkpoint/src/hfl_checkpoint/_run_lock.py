"""The lock of a run. It goes with the file object that holds it, at whatever moment a Ctrl-C strikes.

A library's lock object that is interrupted between taking the lock and noting that it has it holds it until
the process ends, and then the process waits for itself.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PAUSE = 0.02  # seconds between two tries


class RunLock:
    """A lock between processes, and between threads.

    Args:
        path: The file, which is made if need be and stays. A link is not followed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def acquire(self, timeout: float) -> None:
        """Take it.

        Args:
            timeout: Seconds to wait for whoever has it.

        Raises:
            TimeoutError: Somebody else had it all the time.
            OSError: The file cannot be opened.
        """
        end = time.monotonic() + timeout
        # Kept before it is locked.
        self._file = self._open()
        while not _try_lock(self._file.fileno()):
            if time.monotonic() >= end:
                self.release()
                raise TimeoutError(f"{str(self._path)!r} was locked for {timeout:.0f} s.")
            time.sleep(_PAUSE)

    def _open(self) -> IO[bytes]:
        number = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        return os.fdopen(number, "r+b", buffering=0)

    def release(self) -> None:
        """Give it back; more than once is once."""
        file = self._file
        if file is None or file.closed:
            return
        try:
            _unlock(file.fileno())  # else a child that was forked meanwhile would keep it
        finally:
            file.close()


if sys.platform == "win32":
    import msvcrt

    def _try_lock(number: int) -> bool:
        try:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(number: int) -> None:
        with contextlib.suppress(OSError):  # it was not locked yet
            msvcrt.locking(number, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(number: int) -> bool:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_UN)
