"""What an upload is to be, and what is ready to be sent."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence

from hfl_datasets._layout import shard_path
from hfl_datasets._shards import MAX_SHARD_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_datasets._shards import WrittenSplit

__all__ = ["Prepared", "Wish"]


@dataclasses.dataclass(frozen=True)
class Wish:
    """What an upload is to be; see `DatasetManager.upload`."""

    config: str = "default"
    message: Optional[str] = None
    version: Optional[str] = None
    revision: Optional[str] = None
    private: Optional[bool] = None
    key: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    citation: str = ""
    replace: bool = False
    on_conflict: Any = "error"
    compares_rows: bool = True
    verifies: bool = True
    shows_example: bool = True
    max_shard_bytes: int = MAX_SHARD_BYTES
    allow: Sequence[str] = ()
    dry_run: bool = False


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What is ready to be sent."""

    splits: Mapping[str, WrittenSplit]
    files: Mapping[str, Path]
    digests: Mapping[str, str]
    example: str

    def paths(self, config: str, split: str) -> Dict[str, str]:
        """Return path to sha256 of the files of a split."""
        total = len(self.splits[split].shards)
        found = [shard_path(config, split, index, total) for index in range(total)]
        return {path: self.digests[path] for path in found}
