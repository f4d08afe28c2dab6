"""Which files there are: an index over the stored shards.

Every accepted upload becomes one shard in ``xet/shards``, so a thousand small files cost one
flush. The index in memory holds, per file, which shard describes it and where; it is rebuilt
from the shards at start.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Set, Tuple

from hfl_core import get_logger
from hfl_localhub._durable import fsync_directory, fsync_file
from hfl_localhub._xet import _shard
from hfl_localhub._xet._errors import XetFormatError
from hfl_localhub._xet._shard import FileEntry, ShardWriter

_SUFFIX = ".shard"

_log = get_logger(__name__)


class _Place(NamedTuple):
    shard: Path
    offset: int


class FileIndex:
    """Finds files by their Xet hash, and Xet hashes by sha256.

    Args:
        folder: Where the shards are; made if absent.
        new_temporary_path: Returns a fresh path on the same file system.
    """

    def __init__(self, folder: Path, new_temporary_path: Callable[[], Path]) -> None:
        self._folder = folder
        self._new_temporary_path = new_temporary_path
        self._places: Dict[bytes, _Place] = {}
        self._by_sha256: Dict[bytes, bytes] = {}
        self._sha256s: Dict[bytes, bytes] = {}
        self._lock = threading.RLock()
        folder.mkdir(parents=True, exist_ok=True)
        for shard in self._shards():
            try:
                self._load(shard)
            except XetFormatError as error:
                _log.warning("The stored shard %s is damaged and was left out: %s", shard, error)

    def __len__(self) -> int:
        return len(self._places)

    def get(self, digest: bytes) -> FileEntry | None:
        """Return a file, or None."""
        with self._lock:
            place = self._places.get(digest)
            if place is None:
                return None
            with place.shard.open("rb") as stream:
                stream.seek(place.offset)
                return _shard.read_file(stream)

    def xet_hash(self, sha256: bytes) -> bytes | None:
        """Return the Xet hash of the file with a sha256, or None."""
        return self._by_sha256.get(sha256)

    def sha256(self, digest: bytes) -> bytes | None:
        """Return the sha256 of a file, or None if no description of it has one."""
        return self._sha256s.get(digest)

    def add(self, entries: Iterable[FileEntry]) -> None:
        """Store files, all or none."""
        with self._lock:
            self._write(entries)

    def all(self) -> Iterator[FileEntry]:
        """Iterate over the files in all shards; one that was uploaded twice comes twice."""
        for shard in self._shards():
            for _, entry in _entries(shard):
                yield self._with_sha256(entry)

    def retain(self, is_live: Callable[[FileEntry], bool], *, unless_newer_than: float) -> int:
        """Forget files, shard by shard; return how many.

        A shard that loses files is written anew before the old one is removed, so a kill
        forgets nothing that is live. Shards that are newer than a moment are left alone: what
        they describe was just uploaded and may not be referenced yet.
        """
        with self._lock:
            count = len(self._places)
            for shard in self._shards():
                if shard.stat().st_mtime <= unless_newer_than:
                    self._compact(shard, is_live)
            return count - len(self._places)

    def _shards(self) -> List[Path]:
        # Oldest first, so that of two descriptions of a file the newest is found.
        shards = self._folder.glob(f"*{_SUFFIX}")
        return sorted(shards, key=lambda path: (path.stat().st_mtime_ns, path.name))

    def _compact(self, shard: Path, is_live: Callable[[FileEntry], bool]) -> None:
        kept: Set[int] = set()
        dead: List[Tuple[_Place, FileEntry]] = []
        superseded = 0
        for offset, entry in _entries(shard):
            place = _Place(shard, offset)
            if not is_live(self._with_sha256(entry)):
                dead.append((place, entry))
            elif self._is_superseded(entry, place):
                superseded += 1
            else:
                kept.add(offset)
        if not dead and not superseded:
            return
        # The age is that of the upload: it decides what is garbage.
        self._write(
            (entry for offset, entry in _entries(shard) if offset in kept),
            modified=shard.stat().st_mtime_ns,
        )
        shard.unlink()
        for place, entry in dead:
            if self._places.get(entry.digest) == place:  # not where another shard has it, too
                self._forget(entry.digest)

    def _forget(self, digest: bytes) -> None:
        del self._places[digest]
        sha256 = self._sha256s.pop(digest, None)
        if sha256 is not None and self._by_sha256.get(sha256) == digest:
            del self._by_sha256[sha256]

    def _is_superseded(self, entry: FileEntry, place: _Place) -> bool:
        if self._places.get(entry.digest) == place:
            return False
        newest = self.get(entry.digest)
        # The only description with a sha256 stays: it is what leads repositories to the file.
        return newest is None or entry.sha256 is None or newest.sha256 is not None

    def _with_sha256(self, entry: FileEntry) -> FileEntry:
        # Uploads to buckets come without; this one will be found instead of the one that has it.
        if entry.sha256 is None and entry.digest in self._sha256s:
            return entry._replace(sha256=self._sha256s[entry.digest])
        return entry

    def _write(self, entries: Iterable[FileEntry], *, modified: int | None = None) -> None:
        temporary = self._new_temporary_path()
        shard = self._folder / f"{secrets.token_hex(16)}{_SUFFIX}"
        try:
            with temporary.open("wb") as stream:
                writer = ShardWriter(stream)
                count = sum(1 for entry in entries if writer.add(self._with_sha256(entry)))
                writer.finish()
                stream.flush()
                fsync_file(stream.fileno())
            if count:
                if modified is not None:
                    os.utime(temporary, ns=(modified, modified))
                temporary.replace(shard)
                fsync_directory(self._folder)
                self._load(shard)
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()

    def _load(self, shard: Path) -> None:
        for offset, entry in _entries(shard):
            self._places[entry.digest] = _Place(shard, offset)
            if entry.sha256:
                self._by_sha256[entry.sha256] = entry.digest
                self._sha256s[entry.digest] = entry.sha256


def _entries(shard: Path) -> Iterator[Tuple[int, FileEntry]]:
    with shard.open("rb") as stream:
        yield from _shard.read_files(stream)
