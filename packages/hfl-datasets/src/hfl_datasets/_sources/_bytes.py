"""The bytes of a file, whatever it is compressed with."""

from __future__ import annotations

import codecs
import io
import lzma
import zipfile
from pathlib import Path
from typing import IO, Any, List, Optional, Protocol, Sequence, Union, cast

import pyarrow as pa

from hfl_datasets._sources._model import Place
from hfl_datasets.errors import UnreadableDataError

__all__ = ["DAMAGED", "SourcePath", "bare_suffix", "compression_of"]

# Suffix to pyarrow's name of the codec; xz is the standard library's.
_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4", ".xz": "xz"}

# What the decoders raise when what they read is cut or no such stream.
DAMAGED = (EOFError, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowInvalid, OSError)

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def compression_of(name: str) -> Optional[str]:
    """Name the codec that a file's suffix stands for; None for a plain file."""
    return _CODECS.get(Path(name).suffix.lower())


def bare_suffix(name: str) -> str:
    """Return the suffix that says the format: ``.csv`` for ``train.csv.gz``."""
    path = Path(name)
    return (Path(path.stem).suffix if compression_of(name) else path.suffix).lower()


class Closeable(Protocol):
    """What can be closed."""

    def close(self) -> None:
        """Close it."""


class SourcePath:
    """A file on disk, or a member of a zip archive, that can be opened any number of times.

    Args:
        path: The file, or the archive.
        member: The member's name; None for the file itself.
        shown: How messages name it; the path as given if None.
    """

    def __init__(
        self, path: Union[str, Path], member: Optional[str] = None, shown: Optional[str] = None
    ) -> None:
        self.path = Path(path)
        self.member = member
        base = shown or str(path)
        self.name = f"{base}::{member}" if member else base

    @property
    def file_name(self) -> str:
        """The name that says format and compression."""
        return self.member or self.path.name

    @property
    def is_plain(self) -> bool:
        """Whether the path can be handed to a library that opens files itself."""
        return self.member is None and compression_of(self.file_name) is None

    def size(self) -> Optional[int]:
        """Return the bytes that it takes on disk."""
        if self.member is None:
            return self.path.stat().st_size
        with zipfile.ZipFile(self.path) as archive:
            return archive.getinfo(self.member).compress_size

    def open(self) -> IO[bytes]:
        """Open what is inside, decompressed.

        Raises:
            UnreadableDataError: The archive is damaged.
        """
        raw: IO[bytes]
        below: List[Closeable] = []
        if self.member is None:
            raw = self.path.open("rb")
        else:
            try:
                archive = zipfile.ZipFile(self.path)  # lives as long as the member
                raw = archive.open(self.member)
            except zipfile.BadZipFile as error:
                raise damaged(self.name, error) from error
        codec = compression_of(self.file_name)
        if codec is None:
            return raw
        if codec == "xz":
            return cast("IO[bytes]", _Prefixed(b"", lzma.open(raw, "rb"), [raw, *below]))
        # pyarrow stops at the end of a first gzip member, of which parallel compressors write many.
        if codec == "gzip":
            import gzip

            opened = gzip.GzipFile(fileobj=raw, mode="rb")
            return cast("IO[bytes]", _Prefixed(b"", opened, [raw, *below]))
        return cast(
            "IO[bytes]", _Prefixed(b"", pa.CompressedInputStream(raw, codec), [raw, *below])
        )

    def open_text(self, encoding: Optional[str] = None) -> IO[bytes]:
        """Open a text as UTF-8 without a byte order mark.

        Args:
            encoding: What it is written in; by its byte order mark, else UTF-8, if None.
        """
        stream = self.open()
        try:
            start = _read_up_to(stream, 4)
        except BaseException:
            stream.close()
            raise
        if encoding is None:
            encoding = next((name for mark, name in _BOMS if start.startswith(mark)), None)
        if start.startswith(codecs.BOM_UTF8):
            start, encoding = start[3:], None
        joined = cast("IO[bytes]", _Prefixed(start, stream))
        if encoding is None or codecs.lookup(encoding).name == "utf-8":
            return joined
        return cast("IO[bytes]", _Recoded(joined, encoding))


def damaged(name: str, error: BaseException) -> UnreadableDataError:
    """Say that what a file holds is not what its name says."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return UnreadableDataError(
        str(Place(name)),
        f"it is damaged, or not what its name says ({reason}).",
        hint="Fetch or write the file again.",
    )


def _read_up_to(stream: IO[bytes], count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = stream.read(count - len(data))
        if not more:
            break
        data += more
    return data


class _Prefixed(io.RawIOBase):
    """A stream with what was already read of it put back, which closes what is below it, too."""

    def __init__(self, start: bytes, stream: Any, below: Sequence[Closeable] = ()) -> None:
        self._start = start
        self._stream = stream
        self._below = below

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._start:
            start, self._start = self._start, b""
            rest = self._stream.read(size - len(start) if size >= 0 else -1)
            return bytes(start + rest)
        return bytes(self._stream.read(size))

    def close(self) -> None:
        for stream in (self._stream, *self._below):
            stream.close()
        super().close()


class _Recoded(io.RawIOBase):
    """A stream of text in some encoding, as UTF-8."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while True:
            data = self._stream.read(size)
            text = self._decoder.decode(data, final=not data)
            if text or not data:
                return text.encode("utf-8")

    def close(self) -> None:
        self._stream.close()
        super().close()
