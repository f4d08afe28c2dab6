"""Texts of two or four bytes for each letter, as PowerShell and Windows write them, made narrow."""

from __future__ import annotations

import codecs
from typing import Iterator, Optional

from hfl_repo._transfer._containers import Readable

__all__ = ["read_narrow"]

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 256


def read_narrow(file: Readable, size: int) -> Iterator[bytes]:
    """Read a stream in pieces; one that is a wide text, as UTF-8.

    Args:
        file: The stream, at its start.
        size: How much is read at once.

    Yields:
        The pieces.
    """
    piece = file.read(size)
    encoding = _wide_encoding(piece)
    if encoding is None:
        while piece:
            yield piece
            piece = file.read(size)
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    while piece:
        narrow = decoder.decode(piece).encode("utf-8", "replace")
        if narrow:
            yield narrow
        piece = file.read(size)


def _wide_encoding(head: bytes) -> Optional[str]:
    for mark, encoding in _MARKS:
        # Weights may begin with these two bytes, too; then hardly any of them is a letter.
        if head.startswith(mark) and _is_readable(head, encoding):
            return encoding
    for nothing, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros = head[nothing:_SAMPLE:2]
        if len(zeros) > 7 and not any(zeros) and _is_readable(head, encoding):
            return encoding
    return None


def _is_readable(head: bytes, encoding: str) -> bool:
    width = 4 if encoding == "utf-32" else 2
    text = head[: min(_SAMPLE, len(head)) // width * width].decode(encoding, "replace")
    good = sum(letter.isprintable() or letter in "\t\r\n" for letter in text)
    return bool(text) and good >= len(text) * 0.9
