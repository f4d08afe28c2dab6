"""Finding what no file needs any more, and removing it."""

from __future__ import annotations

import math
from typing import Callable, Collection, NamedTuple, Set

from hfl_localhub._xet._dedup import ChunkIndex
from hfl_localhub._xet._files import FileIndex
from hfl_localhub._xet._shard import FileEntry
from hfl_localhub._xet._xorbs import XorbStorage


class GarbageReport(NamedTuple):
    """What was removed.

    Attributes:
        files: How many files were forgotten.
        xorbs: How many xorbs were removed.
        bytes_freed: How many bytes they took.
    """

    files: int
    xorbs: int
    bytes_freed: int


def collect(
    xorbs: XorbStorage,
    files: FileIndex,
    chunks: ChunkIndex,
    *,
    live_hashes: Collection[bytes],
    live_sha256s: Collection[bytes],
    deleted_sha256s: Collection[bytes] = (),
    unless_newer_than: float,
    before_removal: Callable[[], None],
) -> GarbageReport:
    """Forget files that are not live, then remove the xorbs that no file needs.

    The order makes it safe to be killed anywhere: a xorb goes only after everything that refers
    to it, and what a kill leaves behind is found the next time. Files that were deleted on purpose
    go whatever their age, and so do the xorbs that only they needed.
    """

    def is_live(entry: FileEntry) -> bool:
        return entry.digest in live_hashes or (
            entry.sha256 is not None and entry.sha256 in live_sha256s
        )

    def is_wanted(entry: FileEntry) -> bool:
        return is_live(entry) or entry.sha256 not in deleted_sha256s

    with xorbs.collecting():
        doomed: Set[bytes] = set()
        forgotten = 0
        if deleted_sha256s:
            unwanted = (entry for entry in files.all() if not is_wanted(entry))
            doomed = {segment.xorb for entry in unwanted for segment in entry.segments()}
            forgotten = files.retain(is_wanted, unless_newer_than=math.inf)
        forgotten += files.retain(is_live, unless_newer_than=unless_newer_than)
        # All descriptions count, also those that a newer one hides: after a restart the other
        # one may be found first.
        needed: Set[bytes] = {segment.xorb for entry in files.all() for segment in entry.segments()}
        # How young each may be: of any age, if nothing but deleted files needed it.
        limits = dict.fromkeys(doomed, math.inf)
        unneeded = [
            digest
            for digest in xorbs.all()
            if digest not in needed
            and xorbs.is_older(digest, limits.get(digest, unless_newer_than))
        ]
        if unneeded:
            before_removal()
        freed = [
            xorbs.remove(digest, unless_newer_than=limits.get(digest, unless_newer_than))
            for digest in unneeded
        ]
    if unneeded:
        chunks.forget()
    return GarbageReport(forgotten, sum(map(bool, freed)), sum(freed))
