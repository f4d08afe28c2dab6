"""The width and height of an image, from its first bytes."""

from __future__ import annotations

import struct
from typing import Optional, Tuple

__all__ = ["image_size"]

# Markers of JPEG that start a frame and so hold its size; the others between C0 and CF are tables.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def image_size(data: bytes) -> Optional[Tuple[int, int]]:
    """Read width and height from the header of a PNG, JPEG, GIF, BMP or WebP file.

    Args:
        data: The file, or its first kilobytes.

    Returns:
        Width and height in pixels; None if it is no such file or is cut short.

    Example:
        >>> image_size(b"GIF89a" + bytes([3, 0, 2, 0]))
        (3, 2)
    """
    try:
        return _size(data)
    except (struct.error, IndexError):
        return None


def _size(data: bytes) -> Optional[Tuple[int, int]]:
    width: int
    height: int
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        width, height = struct.unpack(">II", data[16:24])
    elif data[:6] in (b"GIF87a", b"GIF89a"):
        width, height = struct.unpack("<HH", data[6:10])
    elif data[:2] == b"BM":
        width, height = struct.unpack("<ii", data[18:26])
        height = abs(height)  # negative where the rows go from top to bottom
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    elif data[:2] == b"\xff\xd8":
        return _jpeg(data)
    else:
        return None
    return width, height


def _webp(data: bytes) -> Optional[Tuple[int, int]]:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return 1 + (bits & 0x3FFF), 1 + ((bits >> 14) & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(data: bytes) -> Optional[Tuple[int, int]]:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None
