"""Where the time went: named spans, one inside the other."""

from __future__ import annotations

import random
import threading
import time
from array import array
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from hfl_core._time_summary import TimeSummary

# Percentiles are exact up to this many measurements of a span, and estimated from a random sample
# of this size beyond, so that a run of millions of steps needs no more memory than a short one.
_SAMPLE_SIZE = 2048


@dataclass(frozen=True)
class Span:
    """What was measured under one name.

    Attributes:
        path: The names from the outside in, joined by slashes: ``"save/write"``.
        count: How often it was entered.
        seconds: The time spent in it in all, spans inside included.
        own_seconds: The time spent in it but in none of the spans inside.
        shortest: The shortest time in seconds.
        p50: The median in seconds.
        p90: What 9 in 10 do not exceed.
        p99: What 99 in 100 do not exceed.
        longest: The longest time in seconds.
        background_seconds: The part of `seconds` that was spent on other threads than the timer's.
    """

    path: str
    count: int
    seconds: float
    own_seconds: float
    shortest: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    longest: float = 0.0
    background_seconds: float = 0.0


class _Record:
    """The measurements of one path."""

    __slots__ = (
        "background",
        "count",
        "done",
        "inside",
        "longest",
        "sample",
        "seconds",
        "shortest",
    )

    def __init__(self) -> None:
        self.count = 0  # entered
        self.done = 0  # left
        self.seconds = self.inside = self.background = 0.0
        self.shortest, self.longest = float("inf"), 0.0
        self.sample = array("d")

    def add(self, seconds: float, rng: random.Random) -> None:
        self.done += 1
        self.seconds += seconds
        self.shortest = min(self.shortest, seconds)
        self.longest = max(self.longest, seconds)
        if len(self.sample) < _SAMPLE_SIZE:
            self.sample.append(seconds)
        else:  # Vitter's algorithm R: every measurement is in the sample with the same probability
            place = int(rng.random() * self.done)
            if place < _SAMPLE_SIZE:
                self.sample[place] = seconds

    def span(self, path: str) -> Span:
        ordered = sorted(self.sample)
        return Span(
            path=path,
            count=self.count,
            seconds=self.seconds,
            own_seconds=max(self.seconds - self.inside, 0.0),
            shortest=self.shortest if self.done else 0.0,
            p50=_quantile(ordered, 0.5),
            p90=_quantile(ordered, 0.9),
            p99=_quantile(ordered, 0.99),
            longest=self.longest,
            background_seconds=self.background,
        )


class Timer:
    """Measures named spans. Threads may share one; each nests its own spans.

    The thread that makes the timer is the one whose time `summary` divides; what other threads do
    meanwhile, such as uploads, is listed beside it.

    Args:
        clock: Returns the time in seconds; only differences count.

    Example:
        >>> timer = Timer()
        >>> with timer.span("save"):
        ...     with timer.span("write"):
        ...         pass
        >>> [span.path for span in timer.spans()]
        ['save', 'save/write']
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open = threading.local()
        self._records: dict[str, _Record] = {}
        self._rng = random.Random(0)  # noqa: S311  # picks a sample, no secret
        self._owner = threading.get_ident()
        self._started = clock()

    def span(self, name: str) -> _OpenSpan:
        """Measure what happens inside a `with` block, also when it raises.

        Args:
            name: What the block does.

        Returns:
            A context manager, for one use.
        """
        return _OpenSpan(self, name)

    def add(self, path: str, seconds: float) -> None:
        """Add what was measured elsewhere: one more time under a path.

        Args:
            path: Such as ``"upload"`` or ``"save/write"``. It is no part of a span that is open,
                and counts for the thread that calls.
            seconds: How long it took.

        Example:
            >>> timer = Timer()
            >>> timer.add("wait", 0.5)
            >>> timer.seconds("wait")
            0.5
        """
        parent = path.rpartition("/")[0] or None
        with self._lock:
            self._record(path).count += 1
        self._leave(path, parent, seconds)

    def spans(self) -> list[Span]:
        """Return what was measured so far, in the order in which it was first entered.

        Returns:
            One span per path; spans that are still open count with what was completed of them.
        """
        with self._lock:
            return [record.span(path) for path, record in self._records.items()]

    def seconds(self, path: str) -> float:
        """Return the time spent under a path, 0.0 if it was never entered.

        Args:
            path: Such as ``"save/write"``.

        Returns:
            Seconds.
        """
        with self._lock:
            record = self._records.get(path)
            return 0.0 if record is None else record.seconds

    def percentile(self, path: str, percent: float) -> float:
        """Return the time that a share of a span's measurements does not exceed.

        Args:
            path: Such as ``"save/write"``.
            percent: From 0 to 100; 50 is the median.

        Returns:
            Seconds; 0.0 if it was never left. Exact for up to 2,048 measurements, beyond that
            estimated from a random sample of as many.

        Raises:
            ConfigError: If the percentage is not from 0 to 100.

        Example:
            >>> timer = Timer()
            >>> for seconds in (1.0, 2.0, 9.0):
            ...     timer.add("step", seconds)
            >>> timer.percentile("step", 50)
            2.0
        """
        if not 0 <= percent <= 100:
            from hfl_core.errors import ConfigError

            raise ConfigError(f"There is no percentile {percent!r}.", hint="Pass 0 to 100.")
        with self._lock:
            record = self._records.get(path)
            ordered = [] if record is None else sorted(record.sample)
        return _quantile(ordered, percent / 100)

    def summary(self) -> TimeSummary:
        """Return where the time went since the timer was made.

        Returns:
            The spans with their shares of it, as text with `str` and as data with `to_json`.

        Example:
            >>> timer = Timer()
            >>> with timer.span("train"):
            ...     pass
            >>> [row.path for row in timer.summary().rows]
            ['train']
        """
        from hfl_core._time_summary import TimeSummary

        return TimeSummary.of(self.spans(), self._clock() - self._started)

    def __str__(self) -> str:
        lines = []
        for span in self.spans():
            depth = span.path.count("/")
            name = "  " * depth + span.path.rpartition("/")[2]
            lines.append(f"{name:<30} {span.count:>6} x {span.seconds:>10.3f} s")
        return "\n".join(lines)

    def _enter(self, name: str) -> tuple[str, str | None]:
        stack = self._stack()
        parent = stack[-1] if stack else None
        path = name if parent is None else f"{parent}/{name}"
        with self._lock:  # on entry, so that spans are listed from the outside in
            self._record(path).count += 1
        stack.append(path)
        return path, parent

    def _leave(self, path: str, parent: str | None, elapsed: float) -> None:
        with self._lock:
            record = self._record(path)
            record.add(elapsed, self._rng)
            if parent is not None:
                self._record(parent).inside += elapsed
            if threading.get_ident() != self._owner:
                record.background += elapsed

    def _record(self, path: str) -> _Record:
        record = self._records.get(path)
        if record is None:
            record = self._records[path] = _Record()
        return record

    def _stack(self) -> list[str]:
        if not hasattr(self._open, "stack"):
            self._open.stack = []
        stack: list[str] = self._open.stack
        return stack


class _OpenSpan:
    """One block that is measured. A class, since contextlib's generators cost a microsecond more."""

    __slots__ = ("_began", "_name", "_parent", "_path", "_timer")

    def __init__(self, timer: Timer, name: str) -> None:
        self._timer = timer
        self._name = name

    def __enter__(self) -> None:
        self._path, self._parent = self._timer._enter(self._name)
        self._began = self._timer._clock()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        elapsed = self._timer._clock() - self._began
        self._timer._stack().pop()
        self._timer._leave(self._path, self._parent, elapsed)


def _quantile(ordered: list[float], share: float) -> float:
    """Interpolate between the two nearest measurements, as numpy's default does."""
    if not ordered:
        return 0.0
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
