"""What to keep, by age and by room."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Dict, Mapping, Sequence, Set

from hfl_checkpoint._policies import is_count, is_positive
from hfl_checkpoint._retention import Joinable
from hfl_checkpoint._usage import FileId, new_bytes
from hfl_core import ConfigError

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint


class KeepWithin(Joinable):
    """Keeps what is younger than so many hours, or the newest that fit into so many bytes.

    Ages are taken from the newest checkpoint, not from now, so that a run that rests for a week loses
    nothing. Files that several checkpoints share as hard links count once, with the newest of them.

    Args:
        hours: How much older than the newest checkpoint one may be, more than 0.
        bytes: What all of them may take together, at least 1.

    Raises:
        ConfigError: Neither or both are given, or a number makes no sense.

    Example:
        >>> KeepWithin(hours=24) | KeepWithin(bytes=200 * 10**9)  # doctest: +ELLIPSIS
        KeepAny(policies=(KeepWithin(hours=24), KeepWithin(bytes=200000000000)))
    """

    def __init__(
        self,
        *,
        hours: float | None = None,
        bytes: int | None = None,  # noqa: A002  # the field's name
    ) -> None:
        if (hours is None) == (bytes is None):
            raise ConfigError(
                "KeepWithin needs either hours or bytes.",
                hint="KeepWithin(hours=24) & KeepWithin(bytes=200 * 10**9) keeps what is within both.",
            )
        if hours is not None and not is_positive(hours):
            raise ConfigError(
                f"KeepWithin(hours={hours!r}) makes no sense: it takes a number above 0.",
                hint="KeepWithin(hours=24) keeps the last day of the run.",
            )
        if bytes is not None and not is_count(bytes):
            raise ConfigError(
                f"KeepWithin(bytes={bytes!r}) makes no sense: it takes a whole number, at least 1.",
                hint="KeepWithin(bytes=200 * 10**9) keeps the newest that fit into 200 GB.",
            )
        self.hours = hours
        self.bytes = bytes

    def __repr__(self) -> str:
        if self.hours is not None:
            return f"KeepWithin(hours={self.hours!r})"
        return f"KeepWithin(bytes={self.bytes!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeepWithin) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def select(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Choose those that are young enough, or the newest that fit."""
        if not checkpoints:
            return {}
        if self.bytes is not None:
            return self._fitting(checkpoints, self.bytes)
        newest, age = checkpoints[-1].created_at, _age(self.hours)
        return {
            checkpoint.name: f"within {self.hours:g} hours of the newest"
            for checkpoint in checkpoints
            if newest - checkpoint.created_at <= age
        }

    def against(self, checkpoint: Checkpoint) -> str:  # noqa: ARG002  # the same for all
        """Say why one was not chosen."""
        if self.bytes is not None:
            return f"beyond the newest {self.bytes:,} bytes"
        return f"more than {self.hours:g} hours older than the newest"

    @staticmethod
    def _fitting(checkpoints: Sequence[Checkpoint], limit: int) -> Mapping[str, str]:
        chosen: Dict[str, str] = {}
        seen: Set[FileId] = set()
        total = 0
        for checkpoint in reversed(checkpoints):
            total += new_bytes(checkpoint, seen)
            if total > limit:
                break  # an older one that fits would leave a gap that nobody asked for
            chosen[checkpoint.name] = f"within the newest {limit:,} bytes"
        return chosen


def _age(hours: float | None) -> datetime.timedelta:
    try:
        return datetime.timedelta(hours=hours or 0.0)
    except OverflowError:
        return datetime.timedelta(days=36_500)
