"""Shards: what clients upload to say of which chunks of which xorbs their files consist.

Source: "Shard format" in the Xet protocol specification (huggingface.co/docs/xet).
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Iterator, NamedTuple, Tuple

from hfl_localhub._xet._errors import XetFormatError
from hfl_localhub._xet._hashing import EMPTY_HASH, HASH_SIZE, from_text, keyed, to_text
from hfl_localhub._xet._xorb import ChunkTable

#: The largest shard that may be uploaded; clients start a new one at this size.
LARGEST_SHARD = 64 * 1024 * 1024

_TAG = b"HFRepoMetaData\x00" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")
_VERSION = 2
_HEADER = struct.Struct("<32sQQ")
# Every entry has 48 bytes: a hash and four numbers of 32 bits.
_ENTRY = struct.Struct("<32sIIII")
_BOOKEND = b"\xff" * HASH_SIZE + bytes(16)
_HAS_PROOFS = 1 << 31
_HAS_METADATA = 1 << 30

# Version, where files and xorbs start, start and length of three lookup tables, key, times, sizes,
# and where the footer itself starts.
_FOOTER = struct.Struct("<3Q6Q32s2Q72sQ")
_FOOTER_VERSION = 1


class Segment(NamedTuple):
    """A run of chunks of one xorb that is a piece of a file."""

    xorb: bytes
    size: int
    start: int
    end: int


class FileEntry(NamedTuple):
    """A file: its hash, its pieces in their order, and what its uploader says about them.

    The pieces are kept as they stand in the shard, 48 bytes each: a large file has many.

    Attributes:
        digest: The Xet hash.
        rows: The pieces; read them with :meth:`segments`.
        proof_rows: Per piece the hash over its chunks' hashes; empty if the shard has none.
        sha256: The digest of the plain bytes, if the uploader gave it.
    """

    digest: bytes
    rows: bytes
    proof_rows: bytes = b""
    sha256: bytes | None = None

    def segments(self) -> Iterator[Segment]:
        """Iterate over the pieces."""
        for xorb, _, size, start, end in _ENTRY.iter_unpack(self.rows):
            yield Segment(xorb, size, start, end)

    def proofs(self) -> Iterator[bytes]:
        """Iterate over the proofs, one per piece."""
        for row in _ENTRY.iter_unpack(self.proof_rows):
            yield row[0]

    @property
    def size(self) -> int:
        """How many bytes the file has."""
        return sum(segment.size for segment in self.segments())


def read_files(stream: BinaryIO) -> Iterator[Tuple[int, FileEntry]]:
    """Read the files of a shard and where they start, one at a time.

    What follows the files is not looked at.

    Raises:
        XetFormatError: If it is no shard, or is cut off.
    """
    head = stream.read(_HEADER.size)
    if len(head) < _HEADER.size:
        raise XetFormatError("A shard ends inside its header.")
    tag, version, _ = _HEADER.unpack(head)
    if tag != _TAG:
        raise XetFormatError("This is no shard: it does not start with a shard's mark.")
    if version != _VERSION:
        raise XetFormatError(f"Shards of version {version} are unknown; version {_VERSION} is.")
    while True:
        start = stream.tell()
        entry = read_file(stream)
        if entry is None:
            return
        yield start, entry


def read_file(stream: BinaryIO) -> FileEntry | None:
    """Read one file, or None at the end of the list of files.

    Raises:
        XetFormatError: If the shard is cut off or an entry makes no sense.
    """
    head = _entries(stream, 1)
    digest, flags, count, _, _ = _ENTRY.unpack(head)
    if digest == _BOOKEND[:HASH_SIZE]:
        return None
    rows = _entries(stream, count)
    proof_rows = _entries(stream, count) if flags & _HAS_PROOFS else b""
    sha256 = None
    if flags & _HAS_METADATA:
        stored = _ENTRY.unpack(_entries(stream, 1))[0]
        # A client that does not know the digest may leave the field empty.
        if stored != EMPTY_HASH:
            # Clients treat it as a hash like all others, so its words are turned around, too.
            sha256 = bytes.fromhex(to_text(stored))
    return FileEntry(digest, rows, proof_rows, sha256)


class ShardWriter:
    """Writes a shard that lists files and nothing else.

    Args:
        stream: Where to, from its start.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        stream.write(_HEADER.pack(_TAG, _VERSION, 0))
        self.position = _HEADER.size

    def add(self, entry: FileEntry) -> int:
        """Append a file, without its proofs; return where its entry starts."""
        flags = _HAS_METADATA if entry.sha256 else 0
        count = len(entry.rows) // _ENTRY.size
        body = _ENTRY.pack(entry.digest, flags, count, 0, 0) + entry.rows
        if entry.sha256:
            body += _ENTRY.pack(from_text(entry.sha256.hex()), 0, 0, 0, 0)
        self._stream.write(body)
        start = self.position
        self.position += len(body)
        return start

    def finish(self) -> None:
        """Mark the end of the files, and of the xorbs, of which there are none."""
        self._stream.write(_BOOKEND + _BOOKEND)


def xorb_listing(
    digest: bytes, table: ChunkTable, *, key: bytes, created: int, expires: int
) -> bytes:
    """Write the shard that answers a query for a chunk: one xorb and its chunks.

    Args:
        digest: The xorb.
        table: Its chunks.
        key: Hides the hashes, so that the client recognises the chunks that it has, and only
            those.
        created: When it was written, in seconds since 1970.
        expires: Until when the client may rely on it, in seconds since 1970.
    """
    count = len(table)
    body = [_ENTRY.pack(digest, 0, count, table.plain_start(count), table.run_length)]
    body += [
        _ENTRY.pack(keyed(name, key), table.plain_start(index), size, 0, 0)
        for index, (name, size) in enumerate(table.leaves(0, count))
    ]
    xorbs_start = _HEADER.size + len(_BOOKEND)
    footer_start = xorbs_start + _ENTRY.size * len(body) + len(_BOOKEND)
    footer = _FOOTER.pack(
        _FOOTER_VERSION,
        _HEADER.size,
        xorbs_start,
        *(footer_start, 0) * 3,  # without tables a client reads the entries; they end there
        key,
        created,
        expires,
        bytes(72),
        footer_start,
    )
    head = _HEADER.pack(_TAG, _VERSION, len(footer))
    return b"".join([head, _BOOKEND, *body, _BOOKEND, footer])


def _entries(stream: BinaryIO, count: int) -> bytes:
    length = count * _ENTRY.size
    # A wrong count must not make room for gigabytes: nothing longer than a shard is read.
    data = stream.read(length) if length <= LARGEST_SHARD else b""
    if len(data) < length:
        raise XetFormatError("A shard ends inside its list of files.")
    return data
