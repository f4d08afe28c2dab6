"""One chunk of a xorb: its header and its three ways to be packed."""

from __future__ import annotations

import struct
from typing import NamedTuple

import lz4.frame

from hfl_localhub._xet._errors import XetFormatError

HEADER_SIZE = 8
#: The largest chunk that the protocol knows.
LARGEST_CHUNK = 128 * 1024
# A packed chunk may be a little larger than a plain one; clients then send it plain, but need not.
_LARGEST_PACKED = 2 * LARGEST_CHUNK

_PLAIN, _LZ4, _GROUPED_LZ4 = 0, 1, 2
_TWO_NUMBERS = struct.Struct("<II")


class ChunkHeader(NamedTuple):
    """How a chunk is packed, and how large it is packed and plain."""

    scheme: int
    packed: int
    plain: int


def read_header(data: bytes) -> ChunkHeader:
    """Read the eight bytes before a chunk.

    Raises:
        XetFormatError: If no client would write such a header.
    """
    # Version (1 byte), packed size (3), scheme (1), plain size (3): two numbers of 32 bits.
    first, second = _TWO_NUMBERS.unpack(data)
    header = ChunkHeader(scheme=second & 0xFF, packed=first >> 8, plain=second >> 8)
    if first & 0xFF:
        raise XetFormatError(f"Chunks of version {first & 0xFF} are unknown; only version 0 is.")
    if header.scheme > _GROUPED_LZ4:
        raise XetFormatError(f"Compression scheme {header.scheme} is unknown; 0, 1 and 2 are.")
    if not 0 < header.plain <= LARGEST_CHUNK:
        raise XetFormatError(f"A chunk has 1 to {LARGEST_CHUNK} bytes, not {header.plain}.")
    if not 0 < header.packed <= _LARGEST_PACKED:
        raise XetFormatError(f"A packed chunk of {header.packed} bytes is out of range.")
    return header


def unpack(header: ChunkHeader, packed: bytes) -> bytes:
    """Return the plain bytes of a chunk.

    Raises:
        XetFormatError: If the data cannot be unpacked to exactly the size in the header.
    """
    if header.scheme == _PLAIN:
        plain = packed
    else:
        plain = _decompress(packed, header.plain)
        if header.scheme == _GROUPED_LZ4:
            plain = _ungroup(plain)
    if len(plain) != header.plain:
        raise XetFormatError(f"A chunk unpacks to {len(plain)} bytes, not to {header.plain}.")
    return plain


def _decompress(packed: bytes, size: int) -> bytes:
    decompressor = lz4.frame.LZ4FrameDecompressor()
    try:
        # One byte more than there should be, so that a bomb stops there.
        plain: bytes = decompressor.decompress(packed, max_length=size + 1)
    except (RuntimeError, ValueError, EOFError) as error:  # what lz4 raises for a damaged frame
        raise XetFormatError(f"A chunk is not an LZ4 frame: {error}") from error
    return plain


def _ungroup(grouped: bytes) -> bytes:
    """Undo the grouping by four: all first bytes, all second bytes, and so on."""
    plain = bytearray(len(grouped))
    start = 0
    for position in range(4):
        length = (len(grouped) - position + 3) // 4
        plain[position::4] = grouped[start : start + length]
        start += length
    return bytes(plain)
