"""Ending a run cleanly when its process is about to be ended."""

from __future__ import annotations

import datetime
import math
import signal
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Union

from hfl_core import ConfigError, SignalHandlers, find_signals
from hfl_state._component import is_count, logger
from hfl_state._ranks import highest_of_all, rank_and_world_size

if TYPE_CHECKING:
    from types import TracebackType

    from hfl_core import SignalName

_DEADLINE = 1 << 16  # above all signals: what is agreed on is one number

# A launcher forwards the signal that its process group got as well; that is one signal, not two.
_ECHO_SECONDS = 1.0


class PreemptionGuard:
    """Turn the first signal, or the approach of a deadline, into a clean end after the current step.

    The first signal is remembered, and passed on to a handler that was there before. At the end of the
    step all processes agree on whether to stop, so all stop after the same step, whichever of them got
    the signal. A second signal ends the process at once, as it would have without a guard.

    Use it as a context manager around the training, in one of two ways:

    - with a checkpoint manager, as one of its save policies and as the state's ``guard``. Then a step
      after which the run is to stop is saved, and ``state.batches`` ends after it;
    - alone: ask `should_stop` at the end of each step, save, and leave the loop.

    Args:
        *signals: Signals or their names; SIGTERM, SIGINT and, where there is one, SIGUSR1 if none is
            given. A name that this system does not have is left out.
        deadline: When the process is going to be ended: a `datetime.datetime` with a time zone, or
            what is left from now, as seconds or a `datetime.timedelta`. The clock of rank 0 counts.
        margin: Seconds before the deadline at which to stop, beside what the slowest step took.
        every: With several processes, agree in every n-th step only, which saves a small collective
            operation in the others.
        clock: Seconds since the epoch; for tests.
        monotonic: Seconds that never go back; for tests.

    Attributes:
        is_stopping: Whether the run stops after this step; the same in every process.
        reason: The name of the signal, or ``"deadline"``, or None.
        received: The signal that this process got, or None.

    Raises:
        ConfigError: One is no signal or cannot be caught, the deadline has passed or has no time zone,
            or a number makes no sense.

    Example:
        >>> import signal
        >>> with PreemptionGuard("SIGTERM") as guard:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     guard.should_stop(), guard.reason, guard.exit_code
        (True, 'SIGTERM', 143)
    """

    def __init__(
        self,
        *signals: SignalName,
        deadline: Optional[Union[datetime.datetime, datetime.timedelta, float]] = None,
        margin: float = 60.0,
        every: int = 1,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.signals = find_signals(signals or ("SIGTERM", "SIGINT", "SIGUSR1"))
        if not is_count(every, 1):
            raise ConfigError(
                f"every={every!r} makes no sense.", hint="It is a number of steps from 1."
            )
        if not _is_number(margin) or margin < 0:
            raise ConfigError(
                f"margin={margin!r} makes no sense.", hint="It is in seconds, 0 or more."
            )
        self._clock, self._monotonic = clock, monotonic
        self._moment = None if deadline is None else _moment(deadline, clock())
        self._margin = float(margin)
        self._every = every
        self._handlers = SignalHandlers(self.signals, self._on_signal)
        self._first_at: Dict[signal.Signals, float] = {}
        self._polls = 0
        self._was_asked = False
        self._hears_of_steps = False
        self._is_in_group = False
        self._asked_at: Optional[float] = None
        self._slowest_step = 0.0
        self.received: Optional[signal.Signals] = None
        self.is_stopping = False
        self.reason: Optional[str] = None

    def __enter__(self) -> PreemptionGuard:
        self.install()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.remove()

    def install(self) -> None:
        """Begin to listen; what a context manager does when it is entered."""
        self._handlers.install()

    def remove(self) -> None:
        """Put back the handlers that were there before."""
        self._handlers.remove()

    def _on_signal(self, received: signal.Signals) -> bool:
        """Remember a signal; say whether it is to end the process at once."""
        now = self._monotonic()
        if self.received is None:
            self.received = received
            self._first_at[received] = now
            return False
        # Another signal than the first is as good as a second one of its kind.
        return (
            now - self._first_at.setdefault(received, min(self._first_at.values())) > _ECHO_SECONDS
        )

    def should_stop(self) -> bool:
        """Decide, together with all other processes, whether to stop after this step.

        Every process has to ask, once per step. Once it is so, it stays so. In the middle of a group of
        accumulated batches the answer is always no: the step is finished first.

        Returns:
            Whether to stop; the same in every process.
        """
        if self._is_in_group:
            return False
        if self.is_stopping or (self._hears_of_steps and self._was_asked):
            self._was_asked = True
            return self.is_stopping  # one answer per step, or a save and the end could disagree
        self._was_asked = True
        self._measure_step()
        self._polls += 1
        if self._polls % self._every and rank_and_world_size()[1] > 1:
            return False
        own = 0 if self.received is None else int(self.received)
        if rank_and_world_size()[0] == 0 and self._is_late():
            own = own or _DEADLINE
        agreed = highest_of_all(own)
        if agreed:
            self.is_stopping = True
            self.reason = "deadline" if agreed == _DEADLINE else signal.Signals(agreed).name
            logger.warning("The run stops after this step: %s.", self.reason)
        return self.is_stopping

    def _measure_step(self) -> None:
        now = self._clock()
        if self._asked_at is not None:
            self._slowest_step = max(self._slowest_step, now - self._asked_at)
        self._asked_at = now

    def _is_late(self) -> bool:
        if self._moment is None:
            return False
        return self._moment - self._clock() <= self._margin + self._slowest_step

    def begin_step(self) -> None:
        """Decide before a step, if the body of the last one did not ask: this is then the last one.

        ``TrainingState.batches`` calls it. So a policy that saves upon the same signal still has one
        step in which to do so.
        """
        if not self._was_asked:
            self.should_stop()
        self._was_asked, self._hears_of_steps = False, True

    def in_group(self, is_in_group: bool) -> None:
        """Learn whether the batch in hand leaves gradients behind that no save would hold.

        ``TrainingState.batches`` calls it.

        Args:
            is_in_group: Whether it does.
        """
        self._is_in_group = is_in_group

    @property
    def exit_code(self) -> int:
        """What to end the process with: 128 and the signal's number, 0 for a deadline or no reason."""
        if self.reason in (None, "deadline"):
            return 0
        return 128 + int(signal.Signals[str(self.reason)])

    def should_save(self, context: Any) -> Optional[str]:  # noqa: ARG002  # the signal decides
        """Answer a checkpoint manager that has this guard among its save policies.

        Args:
            context: What a save policy may look at.

        Returns:
            ``"preemption"`` in the step after which the run stops, which is also when a deadline is
            near; else None.
        """
        return "preemption" if self.should_stop() else None

    def __repr__(self) -> str:
        names = ", ".join(repr(each.name) for each in self.signals)
        return f"PreemptionGuard({names}, is_stopping={self.is_stopping})"


def _moment(deadline: Union[datetime.datetime, datetime.timedelta, float], now: float) -> float:
    if isinstance(deadline, datetime.datetime):
        if deadline.tzinfo is None:
            raise ConfigError(
                f"The deadline {deadline.isoformat()} does not say in which time zone.",
                hint="datetime.now().astimezone() + timedelta(hours=24) has one.",
            )
        moment = deadline.timestamp()
    else:
        left = deadline.total_seconds() if isinstance(deadline, datetime.timedelta) else deadline
        if not _is_number(left):
            raise ConfigError(
                f"{deadline!r} is not a deadline.",
                hint="Pass a datetime with a time zone, or the seconds that are left.",
            )
        moment = now + left
    if moment <= now:
        raise ConfigError(
            f"The deadline passed {now - moment:.0f} s ago.",
            hint="Pass a moment to come, or the seconds that are left.",
        )
    return moment


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
