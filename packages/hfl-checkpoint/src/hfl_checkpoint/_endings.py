"""How a program ends while checkpoints are being saved: nothing is lost, and failures are not silent.

- When the interpreter ends, the saves under way are finished first. A failed one that nobody was told
  of is printed, and the exit status is 120, which is Python's own for a failure while it ends.
- SIGTERM ends a program at once unless it has a handler, so while a save is under way one is
  installed: it finishes the save within `SECONDS`, and ends the program as the signal would have. A
  program that handles the signal itself is left alone: nothing ends it, or it ends as above.
- A fork has the memory of the program, but not the threads that save: it forgets the saves.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import signal
import sys
import threading
import time
from typing import Any, Callable, Iterator, List, Protocol, Set

from hfl_core import get_logger

# Kubernetes sends SIGKILL 30 s after SIGTERM, and so does Slurm, unless told otherwise.
SECONDS = 25.0

_log = get_logger(__name__)


class Pending(Protocol):
    """A save under way."""

    step: int

    def done(self) -> bool:
        """Whether it has ended."""

    def wait(self, timeout: float | None = None) -> None:
        """Wait for its end."""

    def result(self, timeout: float | None = None) -> Any:
        """Wait for its end, and raise what went wrong."""


# What is done when no save is under way any more.
_afterwards: List[Callable[[], None]] = []

# Saves under way, and failed ones whose error nobody was told: a program may end without asking.
_unsettled: Set[Pending] = set()


def expect(pending: Pending) -> None:
    """A save begins."""
    _unsettled.add(pending)
    _take_over_termination()


def settle(pending: Pending) -> None:
    """A save has ended well, or somebody knows that it has not."""
    _unsettled.discard(pending)


@functools.lru_cache(maxsize=None)
def watch_the_end() -> None:
    """Be there when the program ends or forks; call it before the program may be ending."""
    atexit.register(_finish_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_all)


def do_afterwards(function: Callable[[], None]) -> None:
    """Call something when the program ends and its saves are finished; it must not raise."""
    watch_the_end()
    _afterwards.append(function)


def _finish_all() -> None:
    failed = None
    for pending in sorted(_unsettled, key=lambda item: item.step):
        try:
            pending.result()
        except Exception as error:  # noqa: BLE001  # all saves get their turn
            if failed is not None:
                _log.error("the save of step %d failed: %s", pending.step, error)
            failed = failed or error
    for function in reversed(_afterwards):
        function()
    if failed is not None:
        sys.stderr = _FailedFlush(sys.stderr)
        raise failed  # Python prints what an exit handler raises


class _FailedFlush:
    """A stream whose last flush fails: the one thing that still changes the exit status.

    Python ends with status 120 when it cannot flush its streams, and lets all exit handlers run,
    which ``os._exit`` does not.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def flush(self) -> None:
        """Flush, and fail."""
        self._stream.flush()
        raise OSError("a background save failed")


def _forget_all() -> None:
    _unsettled.clear()  # no thread of the fork would finish them
    give_back_termination()


_postponements = 0
_is_due = False


@contextlib.contextmanager
def termination_postponed() -> Iterator[None]:
    """Let SIGTERM wait until the block ends, in which the main thread holds what a save needs."""
    global _postponements  # noqa: PLW0603  # signals are the process's
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _postponements += 1
    try:
        yield
    finally:
        _postponements -= 1
        if _is_due and not _postponements:
            _finish_and_end(signal.SIGTERM, None)


def _take_over_termination() -> None:
    if _can_handle_signals() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _finish_and_end)


def give_back_termination() -> None:
    """Let SIGTERM do again what it does by default, if no save is under way."""
    if any(not pending.done() for pending in list(_unsettled)):
        return
    if _can_handle_signals() and signal.getsignal(signal.SIGTERM) is _finish_and_end:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _can_handle_signals() -> bool:
    return os.name == "posix" and threading.current_thread() is threading.main_thread()


def _finish_and_end(signum: int, _: Any) -> None:
    global _is_due  # noqa: PLW0603  # signals are the process's
    if _postponements:
        _is_due = True
        return
    end = time.monotonic() + SECONDS
    for pending in list(_unsettled):
        if not pending.done():
            _log.warning("told to end: finishing the save of step %d first", pending.step)
            try:
                pending.wait(max(0.0, end - time.monotonic()))
            except TimeoutError:
                _log.warning("step %d was not saved within %.0f s", pending.step, SECONDS)
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
