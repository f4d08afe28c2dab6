"""Shards: what clients upload to say of which chunks of which xorbs their files consist.

Source: "Shard format" in the Xet protocol specification (huggingface.co/docs/xet).
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Iterable, Iterator, List, NamedTuple, Tuple

from hfl_localhub._xet._errors import XetFormatError
from hfl_localhub._xet._hashing import EMPTY_HASH, HASH_SIZE
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

_FOOTER = struct.Struct("<3Q48s32s2Q72sQ")
_FOOTER_VERSION = 1


class Segment(NamedTuple):
    """A run of chunks of one xorb that is a piece of a file."""

    xorb: bytes
    size: int
    start: int
    end: int


class FileEntry(NamedTuple):
    """A file: its hash, its pieces in their order, and what its uploader says about them.

    Attributes:
        digest: The Xet hash.
        segments: The pieces.
        proofs: Per piece the hash over its chunks' hashes; empty if the shard has none.
        sha256: The digest of the plain bytes, if the uploader gave it.
    """

    digest: bytes
    segments: Tuple[Segment, ...]
    proofs: Tuple[bytes, ...] = ()
    sha256: bytes | None = None

    @property
    def size(self) -> int:
        """How many bytes the file has."""
        return sum(segment.size for segment in self.segments)


def read_files(stream: BinaryIO) -> Iterator[FileEntry]:
    """Read the files of a shard, one at a time; what follows them is not looked at.

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
        entry = read_file(stream)
        if entry is None:
            return
        yield entry


def read_file(stream: BinaryIO) -> FileEntry | None:
    """Read one file, or None at the end of the list of files.

    Raises:
        XetFormatError: If the shard is cut off or an entry makes no sense.
    """
    head = _entries(stream, 1)
    digest, flags, count, _, _ = _ENTRY.unpack(head)
    if digest == _BOOKEND[:HASH_SIZE]:
        return None
    segments = tuple(_segment(*row) for row in _ENTRY.iter_unpack(_entries(stream, count)))
    proofs: Tuple[bytes, ...] = ()
    if flags & _HAS_PROOFS:
        proofs = tuple(row[0] for row in _ENTRY.iter_unpack(_entries(stream, count)))
    sha256 = None
    if flags & _HAS_METADATA:
        sha256 = _ENTRY.unpack(_entries(stream, 1))[0]
    # A client that does not know the digest may leave the field empty.
    return FileEntry(digest, segments, proofs, None if sha256 == EMPTY_HASH else sha256)


def write_files(stream: BinaryIO, files: Iterable[FileEntry]) -> List[int]:
    """Write a shard that lists files and nothing else; return where each file's entry starts."""
    stream.write(_HEADER.pack(_TAG, _VERSION, 0))
    offsets = []
    position = _HEADER.size
    for entry in files:
        offsets.append(position)
        body = _file_to_bytes(entry)
        stream.write(body)
        position += len(body)
    stream.write(_BOOKEND)  # the end of the files
    stream.write(_BOOKEND)  # and of the xorbs, of which there are none
    return offsets


def xorb_listing(
    digest: bytes, table: ChunkTable, hidden_hashes: List[bytes], key: bytes, created: int, expires: int
) -> bytes:
    """Write the shard that answers a query for a chunk: one xorb and its chunks.

    Args:
        digest: The xorb.
        table: Its chunks.
        hidden_hashes: Their hashes, hidden behind the key.
        key: The key, so that the client can recognise the chunks that it has, and only those.
        created: When it was written, in seconds since 1970.
        expires: Until when the client may rely on it, in seconds since 1970.
    """
    plain = table.plain_ends
    body = [_ENTRY.pack(digest, 0, len(table), plain[-1], table.run_length)]
    body += [
        _ENTRY.pack(name, plain[index], plain[index + 1] - plain[index], 0, 0)
        for index, name in enumerate(hidden_hashes)
    ]
    xorbs_start = _HEADER.size + len(_BOOKEND)
    footer_start = xorbs_start + _ENTRY.size * len(body) + len(_BOOKEND)
    footer = _FOOTER.pack(
        _FOOTER_VERSION, _HEADER.size, xorbs_start, bytes(48), key, created, expires, bytes(72), footer_start
    )
    head = _HEADER.pack(_TAG, _VERSION, len(footer))
    return b"".join([head, _BOOKEND, *body, _BOOKEND, footer])


def _segment(xorb: bytes, _flags: int, size: int, start: int, end: int) -> Segment:
    if end <= start:
        raise XetFormatError(f"A segment of the chunks {start} to {end} is empty.")
    return Segment(xorb, size, start, end)


def _entries(stream: BinaryIO, count: int) -> bytes:
    length = count * _ENTRY.size
    # A wrong count must not make room for gigabytes: nothing longer than a shard is read.
    data = stream.read(length) if length <= LARGEST_SHARD else b""
    if len(data) < length:
        raise XetFormatError("A shard ends inside its list of files.")
    return data


def _file_to_bytes(entry: FileEntry) -> bytes:
    flags = _HAS_METADATA if entry.sha256 else 0
    rows = [_ENTRY.pack(entry.digest, flags, len(entry.segments), 0, 0)]
    rows += [_ENTRY.pack(s.xorb, 0, s.size, s.start, s.end) for s in entry.segments]
    if entry.sha256:
        rows.append(_ENTRY.pack(entry.sha256, 0, 0, 0, 0))
    return b"".join(rows)
