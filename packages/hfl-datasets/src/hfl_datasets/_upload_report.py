"""What became of an upload of a dataset."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Mapping, Optional

if TYPE_CHECKING:
    from hfl_datasets._changes import RowChanges

__all__ = ["UploadReport"]


@dataclasses.dataclass(frozen=True)
class UploadReport:
    """What became of an upload.

    Attributes:
        repo_id: The repository.
        config: The configuration.
        commit: The commit that holds it; None when nothing had to change and none was made.
        version: The tag that the commit was given, if it was.
        rows: Split to its rows.
        changes: Split to what became of its rows.
        files: Files of data that the version consists of, and that were uploaded now or before.
        bytes_sent: Bytes that were sent.
        bytes_skipped: Bytes that were not, because they are there.
        removed: Files of the version before that were taken out in the same commit.
        kept: Fields and sections of the card that stay as somebody else left them.
        warnings: What is worth a look, and did not keep the data back.
        is_verified: Whether all rows were read back and compared.
        is_dry_run: Whether this is only what would be done.
    """

    repo_id: str
    config: str
    commit: Optional[str]
    version: Optional[str] = None
    rows: Mapping[str, int] = dataclasses.field(default_factory=dict)
    changes: Mapping[str, RowChanges] = dataclasses.field(default_factory=dict)
    files: tuple[str, ...] = ()
    bytes_sent: int = 0
    bytes_skipped: int = 0
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    is_verified: bool = False
    is_dry_run: bool = False
