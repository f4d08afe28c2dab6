"""An event that an interrupt cannot break.

A handler of a signal that raises, as Ctrl-C's does, may do so inside the condition that
``threading.Event`` and ``concurrent.futures.Future`` are made of, and leave it locked: the thread
that wants to set the event then waits for ever. The lock here is never held by a thread at work.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time

_SLICE = 1.0  # seconds


class SteadyEvent:
    """What ``threading.Event`` is, for a thread that may be interrupted.

    Example:
        >>> event = SteadyEvent()
        >>> event.wait(0.01)
        False
        >>> event.set()
        >>> event.wait()
        True
    """

    def __init__(self) -> None:
        self._is_set = False
        # Open while the event is set, as far as nobody is just passing. Only what wakes a waiting
        # thread early hangs on it; `_is_set` alone decides.
        self._gate = threading.Lock()
        self._gate.acquire()

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake whoever waits."""
        self._is_set = True
        self._open()

    def clear(self) -> None:
        """Make it as it was before it was set."""
        self._is_set = False
        self._gate.acquire(blocking=False)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set.

        Args:
            timeout: Seconds to wait at most; None waits as long as it takes.

        Returns:
            Whether it is set.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        # In slices: an interrupt that comes just before a wait begins does not end that wait, and one
        # that comes while the gate is passed leaves it closed.
        while not self.is_set():
            left = end - time.monotonic()
            if left <= 0:
                return False
            if self._gate.acquire(timeout=min(_SLICE, left)) and self.is_set():
                self._open()  # for the next one
        return True

    def _open(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is open
            self._gate.release()
