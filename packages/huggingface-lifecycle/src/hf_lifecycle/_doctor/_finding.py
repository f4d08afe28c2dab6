"""What a check says."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

__all__ = ["Finding", "State"]

State = Literal["ok", "note", "warning", "problem"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What was looked at.
        state: ``"ok"``; ``"note"``: good to know; ``"warning"``: it may bite; ``"problem"``: something
            will not work.
        found: What was found.
        remedy: What to do about it, or None.
    """

    check: str
    state: State
    found: str
    remedy: str | None = None

    def as_row(self) -> dict[str, Any]:
        """The finding as a mapping."""
        return dataclasses.asdict(self)
