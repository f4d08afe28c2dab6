"""What is inside files that hold others: archives, compressed files and pickles. Nothing is executed."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import pickletools  # nosec B403  # it reads opcodes and executes none
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, Callable, Iterator, Mapping, Protocol

__all__ = [
    "PICKLE",
    "Readable",
    "TooLargeInsideError",
    "UnreadableInsideError",
    "opened_inside",
    "pickled_pairs",
]

# Beyond that, an archive is there to fill a disk or to waste time.
_MOST_TIMES, _ALWAYS_FINE = 1000, 1 << 30
_LARGEST_PICKLE = 64 << 20
PICKLE = tuple(bytes([0x80, version]) for version in range(2, 6))
_COMPRESSED: Mapping[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
# A header may ask for more memory than there is, whatever the size of the file.
_BROKEN = (OSError, EOFError, MemoryError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class Readable(Protocol):
    """What can be read from the start to the end."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most so many bytes; none at the end."""


class TooLargeInsideError(Exception):
    """It unpacks to unreasonably much."""


class UnreadableInsideError(Exception):
    """It cannot be unpacked: it is damaged or encrypted."""


def opened_inside(
    source: Path, head: bytes, is_read_by_name: Callable[[str], bool]
) -> Iterator[tuple[str, Readable]]:
    """Open what a file holds in compressed form, one thing at a time.

    What is stored without compression is seen in the file itself, except by its name.

    Args:
        source: The file.
        head: Its first bytes.
        is_read_by_name: Whether a name says that more is to be looked for than shapes.

    Yields:
        The name inside (empty when there is one thing only), and its content.

    Raises:
        TooLargeInsideError: It unpacks to unreasonably much; raised while the content is read.
        UnreadableInsideError: It cannot be unpacked; raised while the content is read, too.
    """
    limit = max(_ALWAYS_FINE, source.stat().st_size * _MOST_TIMES)
    for magic, unpack in _COMPRESSED.items():
        if head.startswith(magic):
            with source.open("rb") as file, unpack(file) as inside:
                yield "", _Limited(inside, limit)
            return
    if not head.startswith(b"PK\x03\x04"):
        return
    try:
        archive = zipfile.ZipFile(source)
    except _BROKEN as error:
        raise UnreadableInsideError(str(error)) from error
    with archive:
        for member in archive.infolist():
            is_shown = member.compress_type == zipfile.ZIP_STORED and not (
                _is_pickle(member) or is_read_by_name(member.filename)
            )
            if member.is_dir() or is_shown:
                continue
            if member.flag_bits & 1:
                raise UnreadableInsideError(f"{member.filename} is encrypted")
            limit -= member.file_size
            if limit < 0:
                raise TooLargeInsideError
            try:
                opened = archive.open(member)
            except (*_BROKEN, NotImplementedError) as error:
                raise UnreadableInsideError(str(error)) from error
            with opened as inside:
                yield member.filename, _Limited(inside, member.file_size)


def pickled_pairs(data: bytes) -> Iterator[tuple[int, str, str]]:
    """Read, without executing anything, which text follows which in a pickle: keys and values.

    Args:
        data: The pickle.

    Yields:
        The position of the second text, the first, and the second.
    """
    if len(data) > _LARGEST_PICKLE:
        return
    stream = io.BytesIO(data)
    # What is no pickle after all ends the search; its bytes have been looked at anyway.
    with contextlib.suppress(Exception):
        while stream.tell() < len(data):  # torch's old format is several, one after the other
            yield from _pairs_of_one(stream)


def _pairs_of_one(stream: IO[bytes]) -> Iterator[tuple[int, str, str]]:
    before: str | None = None
    for opcode, argument, position in pickletools.genops(stream):
        if isinstance(argument, str) and "UNICODE" in opcode.name:
            if before is not None:
                yield position or 0, before, argument
            before = argument
        elif opcode.name not in _BETWEEN:
            before = None


_BETWEEN = {"MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT", "FRAME"}


def _is_pickle(member: zipfile.ZipInfo) -> bool:
    return member.filename.endswith((".pkl", ".pickle"))


class _Limited:
    """Reads what is compressed, as long as it stays reasonable."""

    def __init__(self, inside: Readable, limit: int) -> None:
        self._inside = inside
        self._left = limit

    def read(self, size: int = -1, /) -> bytes:
        try:
            data = self._inside.read(size)
        except _BROKEN as error:
            raise UnreadableInsideError(str(error)) from error
        self._left -= len(data)
        if self._left < 0:
            raise TooLargeInsideError
        return data
