"""A xorb: a run of chunks, uploaded as one object and stored with a table of its chunks.

On disk a xorb is the run as it was uploaded (the client's own footer is dropped), one entry of
40 bytes per chunk, and 16 bytes that say how long both are. So one rename commits everything,
and what a download needs is one read away.
"""

from __future__ import annotations

import struct
from array import array
from pathlib import Path
from typing import BinaryIO, Iterator, Tuple

from hfl_localhub._xet import _chunks, _hashing
from hfl_localhub._xet._errors import XetFormatError, XetMismatchError

#: The largest xorb that may be uploaded, as the protocol says.
LARGEST_XORB = 64 * 1024 * 1024
# Clients pack about 64 MiB of plain bytes; more than this is a decompression bomb.
_LARGEST_PLAIN = 4 * LARGEST_XORB
# Clients put at most 8192 chunks into one.
_MOST_CHUNKS = 8 * 8192
_FOOTER_MARK = b"XETBLOB"

_ENTRY = struct.Struct("<32sII")
_TRAILER = struct.Struct("<8sII")
_MAGIC = b"HFLXORB1"


class ChunkTable:
    """Where each chunk of a xorb is, packed and plain, and what it is called.

    Args:
        rows: The table as it is stored: per chunk its hash, and where it ends in the run and
            in the plain bytes.
    """

    def __init__(self, rows: bytes) -> None:
        self._rows = rows
        self._ends = array("I", [0, 0])
        for _, packed_end, plain_end in _ENTRY.iter_unpack(rows):
            self._ends.append(packed_end)
            self._ends.append(plain_end)

    def __len__(self) -> int:
        return len(self._rows) // _ENTRY.size

    @property
    def run_length(self) -> int:
        """How many bytes the packed chunks and their headers take."""
        return self._ends[-2]

    def packed_start(self, index: int) -> int:
        """Where a chunk starts in the run, header included."""
        return self._ends[2 * index]

    def plain_start(self, index: int) -> int:
        """Where a chunk starts in the plain bytes."""
        return self._ends[2 * index + 1]

    def plain_size(self, start: int, end: int) -> int:
        """How many plain bytes the chunks from start to before end have."""
        return self.plain_start(end) - self.plain_start(start)

    def hash_of(self, index: int) -> bytes:
        """Return the hash of a chunk."""
        start = index * _ENTRY.size
        return self._rows[start : start + _hashing.HASH_SIZE]

    def leaves(self, start: int, end: int) -> Iterator[_hashing.Leaf]:
        """Iterate over hash and plain size of the chunks from start to before end."""
        for index in range(start, end):
            yield self.hash_of(index), self.plain_size(index, index + 1)

    def chunk_at(self, offset: int, start: int, end: int) -> int:
        """Return which of the chunks from start to before end holds a plain byte of the xorb."""
        while end - start > 1:
            middle = (start + end) // 2
            if self.plain_start(middle) <= offset:
                start = middle
            else:
                end = middle
        return start

    def to_bytes(self) -> bytes:
        """Return the table as it stands behind the run."""
        return self._rows + _TRAILER.pack(_MAGIC, len(self), self.run_length)


def scan(stream: BinaryIO) -> ChunkTable:
    """Read an uploaded xorb to its end, unpack each chunk, and list the chunks.

    Only one chunk is in memory at a time. What follows the run has to be a footer.

    Raises:
        XetFormatError: If it is cut off, or is not a run of chunks.
    """
    rows = bytearray()
    packed_end = plain_end = 0
    while True:
        head = stream.read(_chunks.HEADER_SIZE)
        if not head or head[: len(_FOOTER_MARK)] == _FOOTER_MARK:
            break
        header, plain = _next_chunk(stream, head)
        packed_end += _chunks.HEADER_SIZE + header.packed
        plain_end += header.plain
        if plain_end > _LARGEST_PLAIN:
            raise XetFormatError(f"A xorb unpacks to more than {_LARGEST_PLAIN} bytes.")
        rows += _ENTRY.pack(_hashing.chunk_hash(plain), packed_end, plain_end)
        if len(rows) > _MOST_CHUNKS * _ENTRY.size:
            raise XetFormatError(f"A xorb has more than {_MOST_CHUNKS} chunks.")
    if not rows:
        raise XetFormatError("A xorb has at least one chunk.")
    return ChunkTable(bytes(rows))


def verify(table: ChunkTable, digest: bytes) -> None:
    """Check that the chunks make up the xorb that the client named.

    Raises:
        XetMismatchError: If they make up another one.
    """
    actual = _hashing.xorb_hash(table.leaves(0, len(table)))
    if actual != digest:
        raise XetMismatchError(
            f"The xorb was announced as {_hashing.to_text(digest)}"
            f" but its chunks make up {_hashing.to_text(actual)}."
        )


def read_table(path: Path) -> ChunkTable:
    """Read the chunk table of a stored xorb.

    Raises:
        XetMismatchError: If the file was damaged on disk.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(size - _TRAILER.size, 0))
        trailer = stream.read(_TRAILER.size)
        if len(trailer) == _TRAILER.size:
            magic, count, run = _TRAILER.unpack(trailer)
            if magic == _MAGIC and size == run + count * _ENTRY.size + _TRAILER.size:
                stream.seek(run)
                return ChunkTable(stream.read(count * _ENTRY.size))
    raise XetMismatchError(f"The stored xorb {path.name} is damaged.")


def iter_plain(path: Path, table: ChunkTable, start: int, end: int) -> Iterator[bytes]:
    """Unpack the chunks from start to before end of a stored xorb, one by one."""
    with path.open("rb") as stream:
        stream.seek(table.packed_start(start))
        for _ in range(start, end):
            yield _next_chunk(stream, stream.read(_chunks.HEADER_SIZE))[1]


def _next_chunk(stream: BinaryIO, head: bytes) -> Tuple[_chunks.ChunkHeader, bytes]:
    if len(head) < _chunks.HEADER_SIZE:
        raise XetFormatError("A xorb ends inside the header of a chunk.")
    header = _chunks.read_header(head)
    packed = stream.read(header.packed)
    if len(packed) < header.packed:
        raise XetFormatError("A xorb ends inside a chunk.")
    return header, _chunks.unpack(header, packed)
