"""Where the time went: named spans, one inside the other."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable, Iterator


@dataclass(frozen=True)
class Span:
    """What was measured under one name.

    Attributes:
        path: The names from the outside in, joined by slashes: ``"save/write"``.
        count: How often it was entered.
        seconds: The time spent in it in all, spans inside included.
        own_seconds: The time spent in it but in none of the spans inside.
    """

    path: str
    count: int
    seconds: float
    own_seconds: float


class Timer:
    """Measures named spans. Threads may share one; each nests its own spans.

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
        self._counts: dict[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._inside: dict[str, float] = {}

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Measure what happens inside a `with` block, also when it raises.

        Args:
            name: What the block does.

        Yields:
            Nothing.
        """
        stack = self._stack()
        parent = stack[-1] if stack else None
        path = name if parent is None else f"{parent}/{name}"
        with self._lock:  # on entry, so that spans are listed from the outside in
            self._counts[path] = self._counts.get(path, 0) + 1
        stack.append(path)
        started = self._clock()
        try:
            yield
        finally:
            elapsed = self._clock() - started
            stack.pop()
            with self._lock:
                self._seconds[path] = self._seconds.get(path, 0.0) + elapsed
                if parent is not None:
                    self._inside[parent] = self._inside.get(parent, 0.0) + elapsed

    def spans(self) -> list[Span]:
        """Return what was measured so far, in the order in which it was first entered.

        Returns:
            One span per path; spans that are still open count with what was completed of them.
        """
        with self._lock:
            return [
                Span(
                    path=path,
                    count=count,
                    seconds=self._seconds.get(path, 0.0),
                    own_seconds=max(
                        self._seconds.get(path, 0.0) - self._inside.get(path, 0.0), 0.0
                    ),
                )
                for path, count in self._counts.items()
            ]

    def seconds(self, path: str) -> float:
        """Return the time spent under a path, 0.0 if it was never entered.

        Args:
            path: Such as ``"save/write"``.

        Returns:
            Seconds.
        """
        with self._lock:
            return self._seconds.get(path, 0.0)

    def __str__(self) -> str:
        lines = []
        for span in self.spans():
            depth = span.path.count("/")
            name = "  " * depth + span.path.rpartition("/")[2]
            lines.append(f"{name:<30} {span.count:>6} x {span.seconds:>10.3f} s")
        return "\n".join(lines)

    def _stack(self) -> list[str]:
        if not hasattr(self._open, "stack"):
            self._open.stack = []
        stack: list[str] = self._open.stack
        return stack
