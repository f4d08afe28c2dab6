"""What a file's content is called on the Hub, computed once and remembered.

Large files are known there by their sha256, small ones by git's sha1 of the blob.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import time
from pathlib import Path
from typing import Callable, Mapping, Sequence

from hfl_core import in_parallel
from hfl_core.errors import ConflictError
from hfl_repo._transfer._digest_cache import DigestCache
from hfl_repo._transfer._scan import FileKey, LocalFile, file_key

__all__ = ["LARGEST_BLOB", "FileDigests", "Hashed", "digest_files", "hash_file"]

_PIECE = 1 << 20
# The Hub keeps nothing above 10 MiB as a plain git blob, so git's name for more is of no use.
LARGEST_BLOB = 16 << 20
_TRIES = 3


@dataclasses.dataclass(frozen=True)
class FileDigests:
    """A content's names.

    Attributes:
        sha256: Its name as a large file.
        git_sha1: Its name as a small one; None where it is too large to be one.
    """

    sha256: str
    git_sha1: str | None


@dataclasses.dataclass(frozen=True)
class Hashed:
    """The digests of some files.

    Attributes:
        digests: By path in the repository.
        bytes_read: How much had to be read for them.
    """

    digests: Mapping[str, FileDigests]
    bytes_read: int


def digest_files(
    files: Sequence[LocalFile],
    cache: DigestCache,
    *,
    advance: Callable[[int], None] = lambda _: None,
    check: Callable[[], None] = lambda: None,
    workers: int | None = None,
) -> Hashed:
    """Digest files in parallel, and only those that are not known yet.

    Args:
        files: The files.
        cache: What is known.
        advance: Told how many bytes were dealt with.
        check: Called between files; what it raises ends the work.
        workers: How many at once; one for each processor if None, at most eight.

    Returns:
        The digests.

    Raises:
        ConflictError: A file does not stop changing.
        OSError: A file cannot be read.
    """
    found: dict[str, FileDigests] = {}
    unknown: list[LocalFile] = []
    for file in files:
        known = cache.get(file.key)
        if known is None:
            unknown.append(file)
            continue
        found[file.path] = FileDigests(*known)
        advance(file.size)

    def one(file: LocalFile) -> None:
        check()
        digests, is_settled = _digest(file, advance)
        found[file.path] = digests
        if is_settled:
            cache.put(file.key, (digests.sha256, digests.git_sha1))

    count = workers or min(8, os.cpu_count() or 1)
    work = [functools.partial(one, file) for file in unknown]
    try:
        errors = in_parallel(work, count, "hfl-digest")
    finally:
        cache.flush()
    if errors:
        raise errors[0]
    return Hashed(found, sum(file.size for file in unknown))


def hash_file(source: Path, size: int, advance: Callable[[int], None]) -> FileDigests:
    """Compute both digests in one pass, with constant memory."""
    sha256 = hashlib.sha256()
    blob = None
    if size <= LARGEST_BLOB:
        blob = hashlib.sha1(b"blob %d\0" % size)  # nosec B324  # noqa: S324  # git's name
    buffer = memoryview(bytearray(min(_PIECE, size) or 1))
    with source.open("rb", buffering=0) as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return FileDigests(sha256.hexdigest(), blob.hexdigest() if blob else None)
            sha256.update(buffer[:count])
            if blob is not None:
                blob.update(buffer[:count])
            advance(count)


def _digest(file: LocalFile, advance: Callable[[int], None]) -> tuple[FileDigests, bool]:
    """Return the digests, and whether the file's key can stand for its content from now on."""
    for _ in range(_TRIES):
        started = time.time_ns()
        before = file_key(file.source)
        digests = hash_file(file.source, before.size, advance)
        after = file_key(file.source)
        if before == after == file.key:
            return digests, _is_settled(file.key, started)
        if before.may_have_the_content_of(file.key) and after.may_have_the_content_of(file.key):
            return digests, False  # looked at once more before a commit names them
        if not before.may_have_the_content_of(file.key):
            break
    raise ConflictError(
        f"{os.fspath(file.source)!r} is being changed while it is read.",
        hint="Wait until whatever writes it is done, then upload again.",
    )


def _is_settled(key: FileKey, looked_at: int) -> bool:
    """Say whether a later change of the file would change its key.

    A file that was written in the very tick of the clock in which it was read may be written once
    more in that tick, and nobody could tell; git calls such entries racy. Whole seconds mean a
    file system with a coarse clock.
    """
    changed = key.mtime_ns if os.name == "nt" else key.ctime_ns
    slack = 2_100_000_000 if changed % 1_000_000_000 == 0 else 50_000_000
    return looked_at - changed > slack
