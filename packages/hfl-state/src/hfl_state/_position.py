"""Where in the data a run stands, and what keeps that."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Protocol


@dataclasses.dataclass
class Position:
    """A place between two batches.

    Attributes:
        seed: What the order of every epoch follows from.
        epoch: Epochs that were handed out completely.
        batch: Batches of the current epoch that were handed out, since `begin`.
        begin: Samples of the current epoch that count as read before its first batch: more than 0
            when the batch size or the number of processes changed in the middle of the epoch.
        inner: The state that the dataset or the loader keeps of itself, in the middle of an epoch.
    """

    seed: int
    epoch: int = 0
    batch: int = 0
    begin: int = 0
    inner: Any = None

    @property
    def is_epoch_start(self) -> bool:
        """Whether nothing of the current epoch was handed out yet."""
        return self.batch == 0 and self.begin == 0

    def begin_epoch(self, epoch: int) -> None:
        """Stand at the start of an epoch."""
        self.epoch, self.batch, self.begin, self.inner = epoch, 0, 0, None


class Fetched(NamedTuple):
    """One batch.

    Attributes:
        item: What the loader yields.
        size: How many samples it has.
        is_last: Whether the epoch ends with it.
        inner: The state to go on from after it, where the dataset or the loader keeps one and it was
            asked for already.
    """

    item: Any
    size: int
    is_last: bool
    inner: Any = None


class Source(Protocol):
    """One kind of loader, and how to go on in the middle of it."""

    kind: str

    def shape(self) -> Dict[str, Any]:
        """Name what a position depends on."""

    def count(self, at: Position) -> int:
        """Count the batches of the epoch of a position, those handed out included."""

    def fetch(self, at: Position) -> Iterator[Fetched]:
        """Go through the rest of an epoch."""

    def inner(self, at: Position) -> Any:
        """Read the state that the dataset or the loader keeps of itself, for this position."""

    def fingerprint(self, at: Position) -> Optional[str]:
        """Digest the order of the epoch, unless nothing of it was handed out."""

    def problems(self, saved: Mapping[str, Any], changed: List[str]) -> List[str]:
        """Say why a saved position can never be gone back to; `changed` are entries of the shape."""

    def order_differences(self, saved: Mapping[str, Any]) -> List[str]:
        """Say how the order differs from the saved one, though the shape is the same."""

    def translate(self, saved: Mapping[str, Any], changed: List[str]) -> Position:
        """Find the place in the data that a saved position of another shape stands for."""

    def forget(self) -> None:
        """Look at the sampler anew."""
