"""When to save, by a signal: what a scheduler sends to a run that it is about to end."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Union

from hfl_checkpoint._agreement import highest_of_all
from hfl_checkpoint._policies import Joinable
from hfl_core import ConfigError, get_logger

if TYPE_CHECKING:
    from types import FrameType

    from hfl_checkpoint._policies import SaveContext

_log = get_logger(__name__)

# What systems other than this one may have; asking for one of them is no mistake.
_ELSEWHERE = frozenset(
    ["SIGUSR1", "SIGUSR2", "SIGHUP", "SIGQUIT", "SIGXCPU", "SIGCONT", "SIGPWR", "SIGBREAK"]
)

# These cannot be caught, or come from a fault that would come again as soon as the handler returns.
_REFUSED = frozenset(
    ["SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGCHLD"]
)

# A launcher forwards the signal that its process group got as well; that is one signal, not two.
_REPEAT_SECONDS = 5.0


class OnSignal(Joinable):
    """Saves at the end of the step in which a signal arrives, and leaves stopping to the loop.

    Look at `received` after each ``step``: it tells on every process, at the same step, which signal
    it was. A handler that was there before is called as well. What a signal does without a handler
    (ending the process) it does when it comes a second time, more than five seconds after the first.

    The manager installs the handlers when it is made, and removes them when it is closed. Python only
    lets the main thread do that: in another thread there is a warning, and no handler.

    Args:
        *signals: Signals or their names; SIGTERM and, where there is one, SIGUSR1 if none is given. A
            name that this system does not have is left out.
        clock: Seconds that never go back; for tests.

    Raises:
        ConfigError: One is no signal, or cannot be caught, or this system has none of them.

    Example:
        >>> OnSignal("SIGTERM")
        OnSignal('SIGTERM')
    """

    def __init__(
        self,
        *signals: Union[signal.Signals, int, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        wanted = signals or ("SIGTERM", "SIGUSR1")
        self.signals = tuple(dict.fromkeys(found for item in wanted for found in _resolve(item)))
        if not self.signals:
            raise ConfigError(
                f"This system has none of {', '.join(map(str, wanted))}.",
                hint="SIGTERM and SIGINT exist everywhere.",
            )
        self._clock = clock
        self._earlier: Dict[signal.Signals, Any] = {}
        self._first_at: Dict[int, float] = {}
        self._pending = 0
        self._is_listening = False
        self._received: signal.Signals | None = None

    def __repr__(self) -> str:
        return f"OnSignal({', '.join(repr(item.name) for item in self.signals)})"

    @property
    def received(self) -> signal.Signals | None:
        """The signal for which a save was asked, or None; the same on every process after a step."""
        return self._received

    def should_save(self, context: SaveContext) -> str | None:  # noqa: ARG002  # the signal decides
        """Return ``"preemption"`` when a signal has come to any process since the last save."""
        number = highest_of_all(self._pending)
        if not number:
            return None
        self._pending = number
        self._received = signal.Signals(number)
        return "preemption"

    def on_start(self) -> None:
        """Install the handlers."""
        if threading.current_thread() is not threading.main_thread():
            _log.warning(
                "%r cannot listen: only the main thread may install handlers, and this manager was "
                "made in another one",
                self,
            )
            return
        self._is_listening = True
        for item in self.signals:
            self._earlier[item] = signal.getsignal(item)
            signal.signal(item, self._handle)

    def on_save(self, context: SaveContext) -> None:  # noqa: ARG002  # any will do
        """Be content: what the signal asked for is being done."""
        self._pending = 0

    def on_close(self) -> None:
        """Put back the handlers that were there before.

        Where somebody has installed another one since, which calls ours, ours stays and passes on.
        """
        self._is_listening = False
        if threading.current_thread() is not threading.main_thread():
            return  # ours stay, and pass on
        for item, earlier in list(self._earlier.items()):
            # None stands for a handler that was not installed from Python, and cannot be from here.
            if signal.getsignal(item) == self._handle and earlier is not None:
                signal.signal(item, earlier)
                del self._earlier[item]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        earlier = self._earlier.get(signal.Signals(number))
        is_default = earlier is signal.SIG_DFL or earlier is signal.default_int_handler
        if self._is_listening:
            self._pending = number
        if callable(earlier) and not is_default:
            earlier(number, frame)
        elif is_default and not self._is_swallowed(number):
            # The default's way, so that the exit status is the one that a parent expects.
            signal.signal(number, earlier)
            signal.raise_signal(number)

    def _is_swallowed(self, number: int) -> bool:
        """Whether what a signal does without a handler is left out, for the save's sake."""
        if not self._is_listening:
            return False
        now = self._clock()
        return now - self._first_at.setdefault(number, now) <= _REPEAT_SECONDS


def _resolve(item: Union[signal.Signals, int, str]) -> List[signal.Signals]:
    """The signal that is meant; none for a name that only other systems have."""
    name = str(item)
    try:
        found = signal.Signals[item] if isinstance(item, str) else signal.Signals(item)
    except (KeyError, ValueError, TypeError) as error:
        if name in _ELSEWHERE:
            return []
        raise ConfigError(
            f"{item!r} is not a signal of this system.",
            hint="Pass signal.SIGTERM or 'SIGTERM', for example.",
        ) from error
    if found.name in _REFUSED:
        raise ConfigError(
            f"A program cannot save upon {found.name}: it does not live on, or does not hear of it.",
            hint="Schedulers announce the end with SIGTERM, SIGUSR1 or SIGXCPU.",
        )
    return [found]
