"""When to save, by the clock. With several processes, the clock of rank 0 counts for all."""

from __future__ import annotations

import datetime
import os
import time
from typing import TYPE_CHECKING, Any, Callable, Mapping, Union

from hfl_checkpoint._agreement import first_decides
from hfl_checkpoint._policies import Joinable, is_number, is_positive
from hfl_core import ConfigError, get_logger

if TYPE_CHECKING:
    from hfl_checkpoint._policies import SaveContext

_log = get_logger(__name__)

Clock = Callable[[], float]


class EveryMinutes(Joinable):
    """Saves when so many minutes of training have passed since the last save, whatever it was for.

    A resumed run starts counting anew: what it goes on from was saved, so nothing is unsaved yet.

    Args:
        minutes: How many, more than 0.
        clock: Seconds that never go back; for tests.

    Raises:
        ConfigError: `minutes` is not a positive number.

    Example:
        >>> EveryMinutes(30)
        EveryMinutes(30)
    """

    def __init__(self, minutes: float, *, clock: Clock = time.monotonic) -> None:
        if not is_positive(minutes):
            raise ConfigError(
                f"EveryMinutes({minutes!r}) makes no sense: it takes a number of minutes above 0.",
                hint="EveryMinutes(30) saves every half hour.",
            )
        self.minutes = minutes
        self._clock = clock
        self._since = clock()

    def __repr__(self) -> str:
        return f"EveryMinutes({self.minutes!r})"

    def should_save(self, context: SaveContext) -> str | None:  # noqa: ARG002  # the time decides
        """Return ``"interval"`` when the time has passed."""
        is_due = self._clock() - self._since >= self.minutes * 60
        return "interval" if first_decides(is_due) else None

    def on_restore(self, checkpoints: Any) -> None:  # noqa: ARG002  # any will do
        """Count from here."""
        self._since = self._clock()

    def on_save(self, context: SaveContext) -> None:  # noqa: ARG002  # any will do
        """Count from here."""
        self._since = self._clock()


class BeforeDeadline(Joinable):
    """Saves once, as late as is safe before the time at which the run is going to be ended.

    It saves when what is left would not do for one more step, a save and the margin, judged by the
    slowest step and the slowest save of this process so far.

    Args:
        deadline: The moment as a `datetime.datetime` with a time zone, or what is left from now on, as
            seconds or a `datetime.timedelta`.
        margin: Seconds to spare, 0 or more.
        clock: Seconds since the epoch; for tests.

    Raises:
        ConfigError: The deadline has passed or has no time zone, or a number makes no sense.

    Example:
        >>> import datetime
        >>> policy = BeforeDeadline(datetime.timedelta(hours=24), margin=120)
        >>> 86_000 < policy.remaining() <= 86_400
        True
    """

    def __init__(
        self,
        deadline: Union[datetime.datetime, datetime.timedelta, float],
        *,
        margin: float = 60.0,
        clock: Clock | None = None,
    ) -> None:
        # Seconds that are left pass whatever happens to the clock on the wall; a moment is one on it.
        is_moment = isinstance(deadline, datetime.datetime)
        self._clock = clock or (time.time if is_moment else time.monotonic)
        now = self._clock()
        if isinstance(deadline, datetime.datetime):
            if deadline.tzinfo is None:
                raise ConfigError(
                    f"The deadline {deadline.isoformat()} does not say in which time zone.",
                    hint="datetime.now().astimezone() + timedelta(hours=24) has one.",
                )
            self._moment = deadline.timestamp()
        else:
            seconds = (
                deadline.total_seconds() if isinstance(deadline, datetime.timedelta) else deadline
            )
            if not is_number(seconds):
                raise ConfigError(
                    f"{deadline!r} is not a deadline.",
                    hint="Pass a datetime with a time zone, or the seconds that are left.",
                )
            self._moment = now + seconds
        if self._moment <= now:
            raise ConfigError(
                f"The deadline passed {now - self._moment:.0f} s ago.",
                hint="Pass a moment to come, or the seconds that are left.",
            )
        if not is_number(margin) or margin < 0:
            raise ConfigError(
                f"margin={margin!r} makes no sense: it is in seconds, 0 or more.",
                hint="margin=120 leaves two minutes to spare.",
            )
        self.margin = float(margin)
        self._shown = self._moment if is_moment or clock else time.time() + self._moment - now
        self._is_saved = False
        self._slowest_save = self._slowest_step = 0.0
        self._asked_at: float | None = None

    def __repr__(self) -> str:
        moment = datetime.datetime.fromtimestamp(self._shown, datetime.timezone.utc)
        return f"BeforeDeadline({moment.isoformat(timespec='seconds')}, margin={self.margin:g})"

    @classmethod
    def from_environment(
        cls,
        variable: str = "SLURM_JOB_END_TIME",
        *,
        margin: float = 60.0,
        environ: Mapping[str, str] | None = None,
        clock: Clock = time.time,
    ) -> BeforeDeadline:
        """Take the deadline from an environment variable, as a scheduler sets it.

        Args:
            variable: The variable's name. It holds seconds since the epoch, as Slurm's does, or a moment
                in ISO 8601 with a time zone.
            margin: As for the class.
            environ: The environment; `os.environ` if None.
            clock: As for the class.

        Raises:
            ConfigError: It is not set, or holds something else, or a moment that has passed.

        Example:
            >>> BeforeDeadline.from_environment(environ={"SLURM_JOB_END_TIME": "4102444800"})
            BeforeDeadline(2100-01-01T00:00:00+00:00, margin=60)
        """
        text = (os.environ if environ is None else environ).get(variable, "").strip()
        if not text:
            raise ConfigError(
                f"The environment variable {variable} is not set, so there is no deadline to take from it.",
                hint="Slurm sets SLURM_JOB_END_TIME inside a job; elsewhere pass the seconds that are left.",
            )
        try:
            moment = datetime.datetime.fromtimestamp(float(text), datetime.timezone.utc)
        except (ValueError, OverflowError, OSError):
            try:
                # Python before 3.11 does not know the Z that others write for UTC.
                moment = datetime.datetime.fromisoformat(
                    f"{text[:-1]}+00:00" if text.endswith("Z") else text
                )
            except ValueError as error:
                raise ConfigError(
                    f"{variable} is {text!r}, which is not a moment.",
                    hint="It holds seconds since the epoch, or a moment such as 2030-01-31T12:00:00+00:00.",
                ) from error
        return cls(moment, margin=margin, clock=clock)

    def remaining(self) -> float:
        """Return the seconds until the deadline, by this process's clock."""
        return self._moment - self._clock()

    def should_save(self, context: SaveContext) -> str | None:  # noqa: ARG002  # the time decides
        """Return ``"deadline"`` when the next step might be too late, until that was saved."""
        now = self._clock()
        if self._asked_at is not None:
            self._slowest_step = max(self._slowest_step, now - self._asked_at)
        self._asked_at = now
        needed = self.margin + self._slowest_save + self._slowest_step
        is_due = not self._is_saved and self._moment - now <= needed
        return "deadline" if first_decides(is_due) else None

    def on_save(self, context: SaveContext) -> None:  # noqa: ARG002  # any will do
        """Be content when it is saved this late, whatever it was saved for."""
        now = self._clock()
        needed = self.margin + self._slowest_save + self._slowest_step
        self._asked_at = None  # what follows is a step and a save, and says nothing about either
        if self._moment - now <= needed:
            self._is_saved = True
            _log.info("saved %.0f s before the deadline", self._moment - now)

    def on_commit(self, seconds: float) -> None:
        """Learn how long a save takes."""
        self._slowest_save = max(self._slowest_save, seconds)
