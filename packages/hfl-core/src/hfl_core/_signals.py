"""Handlers of signals that pass them on, and can be taken away again."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Tuple, Union

from hfl_core._log import get_logger
from hfl_core.errors import ConfigError

if TYPE_CHECKING:
    from types import FrameType

SignalName = Union[signal.Signals, int, str]

_log = get_logger(__name__)

# What systems other than this one may have; asking for one of them is no mistake.
_ELSEWHERE = frozenset(
    ["SIGUSR1", "SIGUSR2", "SIGHUP", "SIGQUIT", "SIGXCPU", "SIGCONT", "SIGPWR", "SIGBREAK"]
)
# These cannot be caught, or come from a fault that would come again as soon as the handler returns.
_REFUSED = frozenset(
    ["SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGCHLD"]
)
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)

_listened_to: Counter[signal.Signals] = Counter()


def find_signals(items: Iterable[SignalName]) -> Tuple[signal.Signals, ...]:
    """Find the signals that are meant, without those that only other systems have.

    Args:
        items: Signals, their numbers or names.

    Returns:
        Each once, in order.

    Raises:
        ConfigError: One is no signal or cannot be caught.

    Example:
        >>> [found.name for found in find_signals(["SIGTERM", "SIGINT", "SIGTERM"])]
        ['SIGTERM', 'SIGINT']
    """
    return tuple(dict.fromkeys(found for item in items for found in _find(item)))


def _find(item: SignalName) -> List[signal.Signals]:
    try:
        found = signal.Signals[item] if isinstance(item, str) else signal.Signals(item)
    except (KeyError, ValueError, TypeError) as error:
        if str(item) in _ELSEWHERE:
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


def signals_listened_to() -> Tuple[signal.Signals, ...]:
    """Name the signals for which a handler of this process is installed.

    Returns:
        They; workers that share the process group should outlive them.
    """
    return tuple(each for each, count in _listened_to.items() if count > 0)


class SignalHandlers:
    """Call a function when one of some signals comes, then whoever listened before.

    A process that is forked meanwhile inherits the handlers and not what they are for: in it the
    signals do what they did before.

    Args:
        signals: Which.
        on_signal: The function; gets the signal, and says whether to do what the signal does by
            default now.

    Example:
        >>> import signal
        >>> heard = []
        >>> handlers = SignalHandlers([signal.SIGTERM], lambda each: bool(heard.append(each.name)))
        >>> handlers.install()
        True
        >>> signal.raise_signal(signal.SIGTERM)
        >>> handlers.remove()
        >>> heard
        ['SIGTERM']
    """

    def __init__(
        self, signals: Iterable[signal.Signals], on_signal: Callable[[signal.Signals], bool]
    ) -> None:
        self._signals = tuple(signals)
        self._on_signal = on_signal
        # Several where somebody listened on top of us, and we then on top of them.
        self._earlier: Dict[signal.Signals, List[Any]] = {each: [] for each in self._signals}
        self._depth: Counter[signal.Signals] = Counter()
        self._owner = 0

    @property
    def is_listening(self) -> bool:
        """Whether they are installed in this process."""
        return self._owner == os.getpid()

    def install(self) -> bool:
        """Begin to listen; who does already goes on.

        Returns:
            Whether that could be done: only the main thread may.
        """
        if threading.current_thread() is not threading.main_thread():
            _log.warning("Signals are not listened to: only the main thread may install handlers.")
            return False
        if self.is_listening:
            return True
        self._owner = os.getpid()
        for each in self._signals:
            current = signal.getsignal(each)
            if current != self._handle:  # as in a fork, or after `remove` in another thread
                self._earlier[each].append(current)
                signal.signal(each, self._handle)
        _listened_to.update(self._signals)
        return True

    def remove(self) -> None:
        """Stop listening; where somebody has listened since and calls us, we stay and pass on."""
        if self.is_listening:
            _listened_to.subtract(self._signals)
        self._owner = 0
        if threading.current_thread() is not threading.main_thread():
            return
        for each, earlier in self._earlier.items():
            # None stands for a handler that was not installed from Python, and cannot be from here.
            if earlier and signal.getsignal(each) == self._handle and earlier[-1] is not None:
                signal.signal(each, earlier.pop())

    def has_earlier(self, received: signal.Signals) -> bool:
        """Tell whether somebody else's function is called as well.

        Args:
            received: One of the signals.

        Returns:
            Whether there was a handler before, other than the default.
        """
        return any(callable(each) and each not in _DEFAULTS for each in self._earlier[received])

    def _handle(self, number: int, frame: FrameType | None) -> None:
        received = signal.Signals(number)
        earlier = self._earlier[received]
        depth = self._depth[received]
        self._depth[received] += 1
        try:
            if depth == 0:
                self._decide(received, earlier[-1] if earlier else signal.SIG_DFL, frame)
            elif depth < len(earlier):
                # Whom we called calls us: it listened on top of us once. On to who was there before.
                _call(earlier[-1 - depth], number, frame)
        finally:
            self._depth[received] -= 1

    def _decide(self, received: signal.Signals, earlier: Any, frame: FrameType | None) -> None:
        is_listening = self.is_listening
        ends_now = self._on_signal(received) if is_listening else True
        if _call(earlier, received, frame) and not is_listening:
            return
        if not ends_now or earlier is signal.SIG_IGN:
            return
        if received is signal.SIGINT and earlier is not signal.SIG_DFL:
            raise KeyboardInterrupt
        # The default's way, so that the exit status is the one that a parent expects.
        signal.signal(received, signal.SIG_DFL)
        signal.raise_signal(received)


def _call(handler: Any, number: int, frame: FrameType | None) -> bool:
    if not callable(handler) or handler in _DEFAULTS:
        return False
    handler(number, frame)
    return True
