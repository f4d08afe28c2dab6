"""Which xorb holds a chunk, so that a client need not send what is here already.

Clients ask only for the first chunk of a file and for one chunk in 1024, so only these are
remembered. Source: "Deduplication" in the Xet protocol specification (huggingface.co/docs/xet).
"""

from __future__ import annotations

import secrets
import threading
from typing import BinaryIO, Dict

from hfl_localhub._xet import _hashing, _shard, _xorb
from hfl_localhub._xet._errors import XetNotFoundError
from hfl_localhub._xet._files import FileIndex
from hfl_localhub._xet._shard import FileEntry
from hfl_localhub._xet._xorbs import XorbStorage

_ONE_IN = 1024


class ChunkIndex:
    """Finds the xorb of a chunk.

    Args:
        xorbs: Where the chunks are.
        files: Whose first chunks are findable.
    """

    def __init__(self, xorbs: XorbStorage, files: FileIndex) -> None:
        self._xorbs = xorbs
        self._files = files
        self._xorb_of: Dict[bytes, bytes] = {}
        self._is_built = False
        self._lock = threading.Lock()

    def answer(self, chunk: bytes, *, now: float, lifetime: float) -> bytes | None:
        """Return a shard with the xorb that holds a chunk, or None.

        The hashes in it are hidden behind a fresh key: a client recognises chunks that it has,
        and learns nothing of others.
        """
        with self._lock:
            self._build()
            xorb = self._xorb_of.get(chunk)
            if xorb is None or not self._xorbs.touch(xorb):
                return None
        return _shard.xorb_listing(
            xorb,
            self._xorbs.table(xorb),
            key=secrets.token_bytes(_hashing.HASH_SIZE),
            created=int(now),
            expires=int(now + lifetime),
        )

    def add_xorb(self, digest: bytes, table: _xorb.ChunkTable) -> None:
        """Remember a new xorb."""
        with self._lock:
            if self._is_built:
                self._add_xorb(digest, table)

    def add_files(self, shard: BinaryIO) -> None:
        """Remember how the files of a new shard start."""
        shard.seek(0)
        with self._lock:
            if self._is_built:
                for _, entry in _shard.read_files(shard):
                    self._add_file(entry)

    def forget(self) -> None:
        """Start anew: xorbs were removed."""
        with self._lock:
            self._xorb_of.clear()
            self._is_built = False

    def _build(self) -> None:
        # At the first question, not at start: it reads the table of every xorb.
        if self._is_built:
            return
        for digest in self._xorbs.all():
            self._add_xorb(digest, self._xorbs.table(digest))
        for entry in self._files.all():
            self._add_file(entry)
        self._is_built = True

    def _add_xorb(self, digest: bytes, table: _xorb.ChunkTable) -> None:
        for index in range(len(table)):
            name = table.hash_of(index)
            if _hashing.last_word(name) % _ONE_IN == 0:
                self._xorb_of.setdefault(name, digest)

    def _add_file(self, entry: FileEntry) -> None:
        first = next(entry.segments(), None)
        if first is not None:
            try:
                name = self._xorbs.table(first.xorb).hash_of(first.start)
            except XetNotFoundError:  # lost to a disk error; the file cannot be read either
                return
            self._xorb_of.setdefault(name, first.xorb)
