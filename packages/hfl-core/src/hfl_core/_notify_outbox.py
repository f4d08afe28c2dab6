"""What waits to be sent to one place: a bounded number of messages, each kind at its own pace."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Deque, Literal

Severity = Literal["info", "success", "warning", "failure"]

# How many held-back messages the next one quotes; the others are counted.
_QUOTED = 4
# Discord takes 2,000 characters, with the title; what is longer is for the log.
_LONGEST = 1500
_LONGEST_TITLE = 150
_LONGEST_QUOTE = 150


@dataclass(frozen=True)
class Message:
    """What a person is to be told.

    Attributes:
        kind: What is limited together: the event.
        title: What happened, in a few words.
        body: The details; may be empty.
        severity: How it is marked.
    """

    kind: str
    title: str
    body: str
    severity: Severity

    def in_one_line(self) -> str:
        """Return the title and the beginning of the body."""
        first = self.body.partition("\n")[0]
        return f"{self.title}: {first}" if first else self.title


class _Held:
    """The messages of one kind that wait."""

    def __init__(self) -> None:
        self.newest: Deque[Message] = deque(maxlen=_QUOTED + 1)
        self.count = 0

    def merged(self) -> Message:
        """Make one message of them: the newest, and below it those before."""
        last = self.newest[-1]
        earlier = list(self.newest)[:-1]
        body = _cut(last.body, _LONGEST - len(earlier) * (_LONGEST_QUOTE + 20))
        if earlier:
            lines = [f"- {_cut(each.in_one_line(), _LONGEST_QUOTE)}" for each in earlier]
            left_out = self.count - 1 - len(earlier)
            if left_out:
                lines.insert(0, f"- {left_out} more like these")
            body = "\n".join([body, "", "Held back since the last message:", *lines]).strip()
        return Message(last.kind, _cut(last.title, _LONGEST_TITLE), body, last.severity)


class Outbox:
    """Holds messages back so that each kind goes out at most once per interval.

    The first of a kind is due at once. Those that come before the interval is over are merged into one,
    so that no number of messages takes more than a little memory.

    Args:
        interval: Seconds between two messages of a kind.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._held: dict[str, _Held] = {}
        self._free_at: dict[str, float] = {}

    def __len__(self) -> int:
        return sum(held.count for held in self._held.values())

    def put(self, message: Message) -> None:
        """Add a message."""
        held = self._held.setdefault(message.kind, _Held())
        held.newest.append(message)
        held.count += 1

    def take(self, now: float, *, is_in_a_hurry: bool = False) -> tuple[Message, int] | None:
        """Take what is due.

        Args:
            now: The time in seconds.
            is_in_a_hurry: Whether everything is due, as at the end of the process.

        Returns:
            A message and how many it stands for, or None.
        """
        for kind in self._held:
            if is_in_a_hurry or now >= self._free_at.get(kind, now):
                held = self._held.pop(kind)
                self._free_at[kind] = now + self._interval
                return held.merged(), held.count
        return None

    def seconds_until_due(self, now: float) -> float | None:
        """Return how long nothing is due, or None if nothing waits."""
        if not self._held:
            return None
        return max(min(self._free_at.get(kind, now) for kind in self._held) - now, 0.0)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
