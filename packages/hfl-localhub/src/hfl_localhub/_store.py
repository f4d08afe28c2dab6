"""Large files, addressed by what is in them.

A blob is a file at ``blobs/sha256/ab/cdef…``. It appears there whole or not at all: it is written
to ``tmp/``, flushed to the disk and renamed. Two repositories that hold the same bytes share it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import threading
from pathlib import Path
from types import TracebackType

from hfl_localhub._durable import fsync_directory, fsync_file

__all__ = ["BlobStore", "BlobWriter", "DigestMismatchError", "is_sha256"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: str) -> bool:
    """Whether the text is a lower-case sha256 in hex."""
    return _SHA256.fullmatch(text) is not None


class DigestMismatchError(ValueError):
    """The bytes that arrived are not those that were announced.

    Attributes:
        expected: The announced sha256.
        actual: That of the bytes.
    """

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(f"The data's sha256 is {actual}, not {expected} as announced.")
        self.expected = expected
        self.actual = actual


class BlobStore:
    """A folder of blobs, addressed by sha256.

    Args:
        root: The Hub's folder; blobs go into ``blobs/`` and ``tmp/`` in it.

    Attributes:
        lock: Held by who adds a blob until its repository's record exists, and by who removes a
            blob that no repository has a record of.

    Example:
        >>> import tempfile
        >>> store = BlobStore(Path(tempfile.mkdtemp()))
        >>> with store.writer() as writer:
        ...     writer.write(b"weights")
        ...     sha256, size = writer.commit()
        >>> store.has(sha256), size
        (True, 7)
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._blobs = self.root / "blobs" / "sha256"
        self._tmp = self.root / "tmp"
        self.lock = threading.RLock()
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._tmp.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Return where the blob is, or would be.

        Raises:
            ValueError: The digest is not 64 lower-case hex digits (so it can't leave the folder).
        """
        if not is_sha256(sha256):
            raise ValueError(f"{sha256!r} is not a sha256 in lower-case hex.")
        return self._blobs / sha256[:2] / sha256[2:]

    def has(self, sha256: str) -> bool:
        """Whether the blob is here, whole."""
        return is_sha256(sha256) and self.path(sha256).is_file()

    def size(self, sha256: str) -> int:
        """Return the blob's size in bytes.

        Raises:
            FileNotFoundError: It is not here.
        """
        return self.path(sha256).stat().st_size

    def writer(self) -> BlobWriter:
        """Return a context manager that takes bytes and becomes a blob on ``commit``."""
        return BlobWriter(self, self.new_temporary_path())

    def new_temporary_path(self) -> Path:
        """Return a fresh path on the same file system, for a file that will be renamed."""
        return self._tmp / secrets.token_hex(16)

    def adopt(self, temporary: Path, sha256: str) -> None:
        """Rename a finished, flushed temporary file into place.

        Args:
            temporary: A file of this store's ``new_temporary_path``.
            sha256: The digest of its bytes; the caller has computed it.
        """
        target = self.path(sha256)
        if target.is_file():  # the same bytes are here: storage that is shared counts once
            temporary.unlink()
            return
        target.parent.mkdir(exist_ok=True)
        temporary.replace(target)
        fsync_directory(target.parent)

    def delete(self, sha256: str) -> None:
        """Remove the blob from the disk; no error when it is not here."""
        with contextlib.suppress(FileNotFoundError):
            self.path(sha256).unlink()

    def discard_leftovers(self) -> None:
        """Remove what a killed process left half-written. Only the folder's one owner may call it."""
        for leftover in self._tmp.iterdir():
            leftover.unlink()


class BlobWriter:
    """Takes a blob's bytes, hashing as they are written. Leaving without ``commit`` removes them."""

    def __init__(self, store: BlobStore, path: Path) -> None:
        self._store = store
        self._path = path
        self._file = path.open("wb", buffering=0)
        self._digest = hashlib.sha256()
        self._size = 0
        self._is_committed = False

    @property
    def size(self) -> int:
        """The bytes written so far."""
        return self._size

    def write(self, data: bytes) -> None:
        """Append bytes."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._digest.update(data)
        self._size += len(data)

    def flush(self) -> None:
        """Flush to the disk, so that a ``commit`` under a lock is quick."""
        fsync_file(self._file.fileno())

    def commit(self, expected_sha256: str | None = None) -> tuple[str, int]:
        """Flush to the disk and rename into place.

        Args:
            expected_sha256: What the bytes have to hash to, if that is known.

        Returns:
            The sha256 and the size.

        Raises:
            DigestMismatchError: They hash to something else; nothing is stored.
        """
        actual = self._digest.hexdigest()
        if expected_sha256 is not None and actual != expected_sha256:
            raise DigestMismatchError(expected_sha256, actual)
        fsync_file(self._file.fileno())
        self._file.close()
        self._store.adopt(self._path, actual)
        self._is_committed = True
        return actual, self._size

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if not self._is_committed:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
