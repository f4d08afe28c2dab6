"""A xorb: a run of chunks, uploaded as one object and stored with a table of its chunks.

On disk a xorb is the run as it was uploaded (the client's own footer is dropped), one entry of
40 bytes per chunk, and 16 bytes that say how long both are. So one rename commits everything,
and what a download needs is one read away.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from pathlib import Path
from typing import BinaryIO, Iterator, List, Sequence, Tuple

from hfl_localhub._xet import _chunks, _hashing
from hfl_localhub._xet._errors import XetFormatError, XetMismatchError

#: The largest xorb that may be uploaded, as the protocol says.
LARGEST_XORB = 64 * 1024 * 1024
# Clients pack about 64 MiB of plain bytes; more than this is a decompression bomb.
_LARGEST_PLAIN = 4 * LARGEST_XORB
_FOOTER_MARK = b"XETBLOB"

_ENTRY = struct.Struct("<32sII")
_TRAILER = struct.Struct("<8sII")
_MAGIC = b"HFLXORB1"


class ChunkTable:
    """Where each chunk of a xorb is, packed and plain, and what it is called.

    Args:
        entries: Per chunk its hash, and where it ends in the run and in the plain bytes.
    """

    def __init__(self, entries: Sequence[Tuple[bytes, int, int]]) -> None:
        self.hashes = [entry[0] for entry in entries]
        self.packed_ends = [0, *(entry[1] for entry in entries)]
        self.plain_ends = [0, *(entry[2] for entry in entries)]

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def run_length(self) -> int:
        """How many bytes the packed chunks and their headers take."""
        return self.packed_ends[-1]

    def plain_size(self, start: int, end: int) -> int:
        """How many plain bytes the chunks from start to before end have."""
        return self.plain_ends[end] - self.plain_ends[start]

    def leaves(self, start: int = 0, end: int | None = None) -> List[_hashing.Leaf]:
        """Return hash and plain size of the chunks from start to before end."""
        stop = len(self) if end is None else end
        return [
            (self.hashes[index], self.plain_ends[index + 1] - self.plain_ends[index])
            for index in range(start, stop)
        ]

    def chunk_at(self, offset: int) -> int:
        """Return the number of the chunk that holds a plain byte."""
        return bisect_right(self.plain_ends, offset) - 1

    def to_bytes(self) -> bytes:
        """Return the table as it stands behind the run."""
        rows = zip(self.hashes, self.packed_ends[1:], self.plain_ends[1:])
        body = b"".join(_ENTRY.pack(*row) for row in rows)
        return body + _TRAILER.pack(_MAGIC, len(self), self.run_length)


def scan(stream: BinaryIO) -> ChunkTable:
    """Read an uploaded xorb to its end, unpack each chunk, and list the chunks.

    Only one chunk is in memory at a time. What follows the run has to be a footer.

    Raises:
        XetFormatError: If it is cut off, or is not a run of chunks.
    """
    entries: List[Tuple[bytes, int, int]] = []
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
        entries.append((_hashing.chunk_hash(plain), packed_end, plain_end))
    if not entries:
        raise XetFormatError("A xorb has at least one chunk.")
    return ChunkTable(entries)


def verify(table: ChunkTable, digest: bytes) -> None:
    """Check that the chunks make up the xorb that the client named.

    Raises:
        XetMismatchError: If they make up another one.
    """
    actual = _hashing.xorb_hash(table.leaves())
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
                return ChunkTable(list(_ENTRY.iter_unpack(stream.read(count * _ENTRY.size))))
    raise XetMismatchError(f"The stored xorb {path.name} is damaged.")


def iter_plain(path: Path, table: ChunkTable, start: int, end: int) -> Iterator[bytes]:
    """Unpack the chunks from start to before end of a stored xorb, one by one."""
    with path.open("rb") as stream:
        stream.seek(table.packed_ends[start])
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
