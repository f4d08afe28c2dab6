"""When to save, by a signal: what a scheduler sends to a run that it is about to end."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Callable, Dict

from hfl_checkpoint._agreement import highest_of_all
from hfl_checkpoint._policies import Joinable
from hfl_core import ConfigError, SignalHandlers, find_signals

if TYPE_CHECKING:
    from hfl_checkpoint._policies import SaveContext
    from hfl_core import SignalName

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
        *signals: SignalName,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        wanted = signals or ("SIGTERM", "SIGUSR1")
        self.signals = find_signals(wanted)
        if not self.signals:
            raise ConfigError(
                f"This system has none of {', '.join(map(str, wanted))}.",
                hint="SIGTERM and SIGINT exist everywhere.",
            )
        self._clock = clock
        self._handlers = SignalHandlers(self.signals, self._on_signal)
        self._first_at: Dict[signal.Signals, float] = {}
        self._pending = 0
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
        self._handlers.install()

    def on_save(self, context: SaveContext) -> None:  # noqa: ARG002  # any will do
        """Be content: what the signal asked for is being done."""
        self._pending = 0

    def on_close(self) -> None:
        """Put back the handlers that were there before.

        Where somebody has installed another one since, which calls ours, ours stays and passes on.
        """
        self._handlers.remove()

    def _on_signal(self, received: signal.Signals) -> bool:
        """Remember a signal; say whether it is to do what it does without a handler."""
        self._pending = int(received)
        if self._handlers.has_earlier(received):
            return False  # whoever listened before decides
        now = self._clock()
        return now - self._first_at.setdefault(received, now) > _REPEAT_SECONDS
