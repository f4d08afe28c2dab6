"""Handlers of signals that pass them on, and can be taken away again."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Union

from hfl_core import ConfigError
from hfl_state._component import logger

if TYPE_CHECKING:
    from types import FrameType

SignalName = Union[signal.Signals, int, str]

# What systems other than this one may have; asking for one of them is no mistake.
_ELSEWHERE = {"SIGUSR1", "SIGUSR2", "SIGHUP", "SIGQUIT", "SIGXCPU", "SIGBREAK", "SIGPWR"}
# These cannot be caught, or come from a fault that would come again.
_REFUSED = {"SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGCHLD"}

_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


def resolve(items: Iterable[SignalName]) -> List[signal.Signals]:
    """Find the signals that are meant, without those that only other systems have.

    Args:
        items: Signals, their numbers or names.

    Returns:
        Each once, in order.

    Raises:
        ConfigError: One is no signal or cannot be caught.
    """
    found = [each for item in items for each in _resolve(item)]
    return list(dict.fromkeys(found))


def _resolve(item: SignalName) -> List[signal.Signals]:
    try:
        found = signal.Signals[item] if isinstance(item, str) else signal.Signals(item)
    except (KeyError, ValueError, TypeError) as error:
        if item in _ELSEWHERE:
            return []
        raise ConfigError(
            f"{item!r} is not a signal of this system.",
            hint="Pass signal.SIGTERM or 'SIGTERM', for example.",
        ) from error
    if found.name in _REFUSED:
        raise ConfigError(
            f"A program cannot go on after {found.name}, or does not hear of it.",
            hint="Schedulers announce the end with SIGTERM, SIGUSR1 or SIGXCPU.",
        )
    return [found]


class Handlers:
    """Call a function when one of some signals comes, then whoever listened before.

    A process that is forked meanwhile inherits the handlers and not what they are for: in it the
    signals do what they did before.

    Args:
        signals: Which.
        on_signal: The function; gets the signal, and says whether to do what the signal does by
            default now.
    """

    def __init__(
        self, signals: Iterable[signal.Signals], on_signal: Callable[[signal.Signals], bool]
    ) -> None:
        self._signals = tuple(signals)
        self._on_signal = on_signal
        self._earlier: Dict[signal.Signals, Any] = {}
        self._owner = 0

    def install(self) -> bool:
        """Begin to listen.

        Returns:
            Whether that could be done: only the main thread may.
        """
        if threading.current_thread() is not threading.main_thread():
            logger.warning(
                "Signals are not listened to: only the main thread may install handlers."
            )
            return False
        self._owner = os.getpid()
        for each in self._signals:
            self._earlier[each] = signal.getsignal(each)
            signal.signal(each, self._handle)
        return True

    def remove(self) -> None:
        """Stop listening; where somebody has listened since and calls us, we stay and pass on."""
        self._owner = 0
        if threading.current_thread() is not threading.main_thread():
            return
        for each, earlier in list(self._earlier.items()):
            # None stands for a handler that was not installed from Python, and cannot be from here.
            if signal.getsignal(each) == self._handle and earlier is not None:
                signal.signal(each, earlier)
                del self._earlier[each]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        received = signal.Signals(number)
        earlier = self._earlier.get(received, signal.SIG_DFL)
        is_listening = self._owner == os.getpid()
        ends_now = self._on_signal(received) if is_listening else True
        if callable(earlier) and earlier not in _DEFAULTS:
            earlier(number, frame)
            if not is_listening:
                return
        if not ends_now or earlier is signal.SIG_IGN:
            return
        if received is signal.SIGINT:
            raise KeyboardInterrupt
        # The default's way, so that the exit status is the one that a parent expects.
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
