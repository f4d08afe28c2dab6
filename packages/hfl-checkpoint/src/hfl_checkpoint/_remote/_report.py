"""What a publication gives back."""

from __future__ import annotations

import dataclasses
from typing import Mapping, Tuple


@dataclasses.dataclass(frozen=True)
class PublishReport:
    """What became of a publication.

    Attributes:
        published: Names of the checkpoints that are on the Hub now and were not before.
        found: Names of those that turned out to be there already.
        retired: Names of those that went from the Hub.
        skipped: Names of those that are given up, with the reason.
        refused: Names of those that stay in the queue, with the reason.
        waiting: Names of those that still wait.
        commit: The commit that holds them; None when none was needed.
        bytes_sent: Content that went over the wire.
        bytes_copied: Content that the Hub copied itself.
        bytes_hashed: Content that had to be read to know what the Hub calls it.
    """

    published: Tuple[str, ...] = ()
    found: Tuple[str, ...] = ()
    retired: Tuple[str, ...] = ()
    skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)
    refused: Mapping[str, str] = dataclasses.field(default_factory=dict)
    waiting: Tuple[str, ...] = ()
    commit: str | None = None
    bytes_sent: int = 0
    bytes_copied: int = 0
    bytes_hashed: int = 0

    def joined(self, later: PublishReport) -> PublishReport:
        """Return what became of this publication and a later one together."""
        return dataclasses.replace(
            later,
            published=(*self.published, *later.published),
            found=(*self.found, *later.found),
            retired=(*self.retired, *later.retired),
            commit=later.commit or self.commit,
            bytes_sent=self.bytes_sent + later.bytes_sent,
            bytes_copied=self.bytes_copied + later.bytes_copied,
            bytes_hashed=self.bytes_hashed + later.bytes_hashed,
        )
