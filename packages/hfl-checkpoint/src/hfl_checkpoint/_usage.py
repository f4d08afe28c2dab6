"""Bytes on disk, with files that several checkpoints share counted once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Iterator, Set, Tuple

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint

FileId = Tuple[int, int]


def new_bytes(checkpoint: Checkpoint, seen: Set[FileId]) -> int:
    """Count the bytes of a checkpoint's files that were not seen before.

    Files that did not change between checkpoints may be hard links to one file. Copies that share
    blocks of a file system (reflinks) cannot be told apart and count in full.

    Args:
        checkpoint: The checkpoint. One that is not on this disk counts with the size in its manifest.
        seen: The files counted so far; extended.
    """
    found = list(_files(checkpoint))
    if not found:
        return checkpoint.size
    total = 0
    for identity, size in found:
        if identity not in seen:
            seen.add(identity)
            total += size
    return total


def _files(checkpoint: Checkpoint) -> Iterator[Tuple[FileId, int]]:
    for folder, _, names in os.walk(checkpoint.path):
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))  # noqa: PTH118  # thousands of them
            except FileNotFoundError:  # deleted by others meanwhile
                continue
            yield (status.st_dev, status.st_ino), status.st_size
