"""A lock that many may share, or one may have alone."""

from __future__ import annotations

import contextlib
import threading
from typing import Iterator

__all__ = ["SharedLock"]


class SharedLock:
    """Shared by those who read and add, held alone by the one who removes.

    Who waits to be alone keeps newcomers out, so a thread must not take it twice.

    Example:
        >>> lock = SharedLock()
        >>> with lock.shared():
        ...     pass
        >>> with lock.alone():
        ...     pass
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._sharing = 0
        self._waiting_alone = 0
        self._is_alone = False

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Hold it together with others."""
        with self._condition:
            self._condition.wait_for(lambda: not self._is_alone and not self._waiting_alone)
            self._sharing += 1
        try:
            yield
        finally:
            with self._condition:
                self._sharing -= 1
                self._condition.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold it with nobody else."""
        with self._condition:
            self._waiting_alone += 1
            self._condition.wait_for(lambda: not self._is_alone and not self._sharing)
            self._waiting_alone -= 1
            self._is_alone = True
        try:
            yield
        finally:
            with self._condition:
                self._is_alone = False
                self._condition.notify_all()
