"""The xorbs on disk: ``xet/xorbs/ab/<hash>``, each whole or not there."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter, OrderedDict
from pathlib import Path
from typing import BinaryIO, Iterable, Iterator, Set

from hfl_localhub._durable import fsync_directory, fsync_file
from hfl_localhub._xet import _hashing, _xorb
from hfl_localhub._xet._errors import XetNotFoundError

# A table takes 48 bytes per chunk, so about 50 kB for a usual xorb.
_CACHED_TABLES = 64


class XorbStorage:
    """Keeps xorbs by their hash.

    Args:
        folder: Where they are; made if absent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables: OrderedDict[bytes, _xorb.ChunkTable] = OrderedDict()
        self._pins: Counter[bytes] = Counter()
        # While garbage is looked for: what was in use at any moment since that began.
        self._in_use: Set[bytes] | None = None
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: bytes) -> Path:
        """Return where a xorb is, or would be."""
        name = _hashing.to_text(digest)
        return self._folder / name[:2] / name

    def has(self, digest: bytes) -> bool:
        """Whether the xorb is here."""
        return self.path(digest).is_file()

    def table(self, digest: bytes) -> _xorb.ChunkTable:
        """Return the chunks of a xorb.

        Raises:
            XetNotFoundError: If it is not here.
        """
        with self._lock:
            if digest in self._tables:
                self._tables.move_to_end(digest)
                return self._tables[digest]
        try:
            table = _xorb.read_table(self.path(digest))
        except FileNotFoundError as error:
            raise XetNotFoundError(f"There is no xorb {_hashing.to_text(digest)}.") from error
        with self._lock:
            self._tables[digest] = table
            while len(self._tables) > _CACHED_TABLES:
                self._tables.popitem(last=False)
        return table

    def adopt(self, upload: BinaryIO, temporary: Path, digest: bytes) -> _xorb.ChunkTable | None:
        """Verify an uploaded xorb and keep it.

        Args:
            upload: The temporary file, open for reading and writing.
            temporary: Its path, on the same file system; gone afterwards if the xorb was kept.
            digest: What the client says it is.

        Returns:
            Its chunks, or None if it was here already.

        Raises:
            XetFormatError: If it is malformed.
            XetMismatchError: If it is another one.
        """
        upload.seek(0)
        table = _xorb.scan(upload)
        _xorb.verify(table, digest)
        if self.touch(digest):
            return None
        upload.seek(table.run_length)
        upload.truncate()
        upload.write(table.to_bytes())
        upload.flush()
        fsync_file(upload.fileno())
        upload.close()  # some systems do not rename what is open
        target = self.path(digest)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            fsync_directory(self._folder)
        temporary.replace(target)
        fsync_directory(target.parent)
        return table

    def touch(self, digest: bytes) -> bool:
        """Note that a client relies on a xorb, so that it is not garbage for a while."""
        with self._lock:  # so that it is not removed right now
            try:
                os.utime(self.path(digest))
            except FileNotFoundError:
                return False
        return True

    @contextlib.contextmanager
    def pinned(self, digests: Iterable[bytes]) -> Iterator[None]:
        """Keep xorbs from being removed while they are read."""
        pinned = list(digests)
        with self._lock:
            self._pins.update(pinned)
            if self._in_use is not None:
                self._in_use.update(pinned)
        try:
            yield
        finally:
            with self._lock:
                self._pins.subtract(pinned)
                self._pins = +self._pins

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Mark the time in which garbage is looked for and removed."""
        with self._lock:
            self._in_use = set(self._pins)
        try:
            yield
        finally:
            with self._lock:
                self._in_use = None

    def remove(self, digest: bytes, *, unless_newer_than: float) -> int:
        """Remove a xorb unless it is in use or was relied on lately; return the bytes freed.

        Call it inside :meth:`collecting`: a shard that refers to the xorb may have been accepted
        since the caller found that none does.
        """
        path = self.path(digest)
        with self._lock:
            if self._in_use is None or digest in self._in_use:
                return 0
            if not self.is_older(digest, unless_newer_than):
                return 0
            size = path.stat().st_size
            path.unlink()
            self._tables.pop(digest, None)
        return size

    def is_older(self, digest: bytes, moment: float) -> bool:
        """Whether nobody has relied on a xorb since a moment."""
        return self.path(digest).stat().st_mtime <= moment

    def all(self) -> Iterator[bytes]:
        """Iterate over the hashes of all xorbs."""
        for path in self._folder.glob("??/*"):
            with contextlib.suppress(ValueError):  # not ours: a file that somebody put there
                yield _hashing.from_text(path.name)
