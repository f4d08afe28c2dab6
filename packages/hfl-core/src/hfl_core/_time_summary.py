"""A timer's account of where the time went, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Sequence

from hfl_core._timing import Span

FORMAT = 1


@dataclass(frozen=True)
class TimeSummary:
    """Where the time went.

    Attributes:
        seconds: The time since the timer was made.
        rows: What was measured on the timer's own thread, from the outside in.
        background: What other threads did meanwhile, such as uploads.
        other_seconds: The time of the timer's own thread that no span accounts for.
    """

    seconds: float
    rows: tuple[Span, ...]
    background: tuple[Span, ...]
    other_seconds: float

    @classmethod
    def of(cls, spans: Sequence[Span], seconds: float) -> TimeSummary:
        """Divide the time among spans.

        Args:
            spans: What a timer measured.
            seconds: The time that there was.

        Returns:
            The summary.
        """
        # A span that was measured on both kinds of threads stands where most of its time is.
        behind = tuple(span for span in spans if span.background_seconds * 2 > span.seconds)
        own = tuple(span for span in spans if span not in behind)
        outermost = [span for span in own if "/" not in span.path]
        known = sum(span.seconds - span.background_seconds for span in outermost)
        return cls(seconds, own, behind, max(seconds - known, 0.0))

    def share(self, span: Span) -> float:
        """Return the part of the time that a span took, from 0 to 1.

        Args:
            span: One of the rows.

        Returns:
            A fraction of `seconds`.
        """
        return span.seconds / self.seconds if self.seconds > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data.

        Returns:
            ``format``, ``seconds``, ``other_seconds``, and one object for each row in ``spans`` and
            ``background``, with its ``share``.
        """
        return {
            "format": FORMAT,
            "seconds": self.seconds,
            "other_seconds": self.other_seconds,
            "spans": [{**asdict(row), "share": self.share(row)} for row in self.rows],
            "background": [{**asdict(row), "share": self.share(row)} for row in self.background],
        }

    def to_json(self) -> str:
        """Return it as JSON: what `to_dict` says, on several lines."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        head = f"{'':<28} {'share':>6} {'total':>9} {'count':>7} {'median':>9} {'p99':>9}"
        lines = [f"{duration(self.seconds)} in all", head, *(self._line(row) for row in self.rows)]
        if self.rows:
            share = self.other_seconds / self.seconds if self.seconds > 0 else 0.0
            lines.append(f"{'(the rest)':<28} {share:>6.1%} {duration(self.other_seconds):>9}")
        if self.background:
            lines += ["meanwhile, on other threads", *(self._line(row) for row in self.background)]
        return "\n".join(lines)

    def _line(self, row: Span) -> str:
        name = "  " * row.path.count("/") + row.path.rpartition("/")[2]
        return (
            f"{name:<28} {self.share(row):>6.1%} {duration(row.seconds):>9} {row.count:>7} "
            f"{duration(row.p50):>9} {duration(row.p99):>9}"
        )


def duration(seconds: float) -> str:
    """Write a time as people say it."""
    if seconds >= 3600:
        return f"{seconds / 3600:.2f} h"
    if seconds >= 60:
        return f"{seconds / 60:.2f} min"
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"
