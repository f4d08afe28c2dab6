"""Drawings of a report: lines of metrics and the run in time, as SVG that needs nothing else."""

from __future__ import annotations

import datetime
from html import escape
from typing import Any, List, Mapping, Sequence, Tuple

from hf_lifecycle._report import _words as words

__all__ = ["line_chart", "time_bar"]

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 220, 76, 20, 16, 36


def line_chart(name: str, points: Sequence[Tuple[int, float, str]]) -> str:
    """Draw a metric over the steps.

    Args:
        name: The metric.
        points: Step, value and checkpoint, in the order of commits.

    Returns:
        An SVG element. A point tells its checkpoint to whoever points at it.
    """
    steps, values = [step for step, _, _ in points], [value for _, value, _ in points]
    across = _Scale(min(steps), max(steps), _LEFT, _WIDTH - _RIGHT)
    up = _Scale(min(values), max(values), _HEIGHT - _BOTTOM, _TOP)
    parts = [_frame(name)]
    for value in dict.fromkeys((up.low, (up.low + up.high) / 2, up.high)):
        y = up(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{words.number(value)}</text>'
        )
    for step, anchor in {max(steps): "end", min(steps): "start"}.items():
        parts.append(
            f'<text x="{across(step)}" y="{_HEIGHT - 14}" text-anchor="{anchor}">step {step}</text>'
        )
    path = " ".join(f"{across(step)},{up(value)}" for step, value, _ in points)
    parts.append(f'<polyline class="line" points="{path}"/>')
    parts += [
        f'<circle class="dot" cx="{across(step)}" cy="{up(value)}" r="4"><title>{escape(where)}, step '
        f"{step}: {words.number(value)}</title></circle>"
        for step, value, where in points
    ]
    return "".join([*parts, "</svg>"])


def time_bar(sessions: Sequence[Mapping[str, Any]], saves: Sequence[Tuple[str, str]]) -> str:
    """Draw when the run worked, and when it saved.

    Args:
        sessions: The run's sessions.
        saves: Moment and name of each checkpoint.

    Returns:
        An SVG element.
    """
    height = 74
    moments = [_seconds(each[key]) for each in sessions for key in ("began", "ended")]
    across = _Scale(min(moments), max(moments), 12, _WIDTH - 12)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="When the run worked and saved">'
    ]
    for number, each in enumerate(sessions, start=1):
        begin, end = across(_seconds(each["began"])), across(_seconds(each["ended"]))
        parts.append(
            f'<rect class="bar" x="{begin}" y="16" width="{max(end - begin, 3):.1f}" height="22" rx="4">'
            f"<title>session {number}: steps {each['first_step']} to {each['last_step']}</title></rect>"
        )
    for at, name in saves:
        x = across(_seconds(at))
        parts.append(
            f'<line class="tick" x1="{x}" x2="{x}" y1="12" y2="42"><title>{escape(name)}</title></line>'
        )
    first, last = words.moment(sessions[0]["began"]), words.moment(sessions[-1]["ended"])
    parts.append(f'<text x="12" y="62">{escape(first)}</text>')
    parts.append(f'<text x="{_WIDTH - 12}" y="62" text-anchor="end">{escape(last)}</text>')
    return "".join([*parts, "</svg>"])


class _Scale:
    """From values to places; where all values are the same, they lie in the middle."""

    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        self.low, self.high = low, high
        self._begin, self._end = begin, end

    def __call__(self, value: float) -> float:
        # Halved before they are subtracted: the distance of two large numbers may be no number.
        whole = self.high / 2 - self.low / 2
        part = 0.5 if whole == 0 else (value / 2 - self.low / 2) / whole
        return round(self._begin + part * (self._end - self._begin), 1)


def _frame(name: str) -> str:
    title = escape(f"{name} over the steps", quote=True)
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">'


def _seconds(text: str) -> float:
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment.replace(tzinfo=moment.tzinfo or datetime.timezone.utc).timestamp()


def stacked(parts: Sequence[Tuple[str, float]]) -> str:
    """Draw shares of a whole as one bar.

    Args:
        parts: Name and amount.

    Returns:
        An SVG element, empty if there is nothing to share.
    """
    whole = sum(amount for _, amount in parts)
    if whole <= 0:
        return ""
    drawn: List[str] = [
        f'<svg viewBox="0 0 {_WIDTH} 30" role="img" aria-label="Shares of the time">'
    ]
    x = 0.0
    for number, (name, amount) in enumerate(parts):
        width = _WIDTH * amount / whole
        drawn.append(
            f'<rect class="part{number}" x="{x:.1f}" y="4" width="{width:.1f}" height="22">'
            f"<title>{escape(name)}: {amount / whole:.0%}</title></rect>"
        )
        x += width
    return "".join([*drawn, "</svg>"])
