"""Large files that arrive in parts, maybe out of order and over several runs of the Hub."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path
from types import TracebackType

from hfl_localhub._durable import fsync_file, write_bytes
from hfl_localhub._errors import bad_request
from hfl_localhub._store import BlobStore

__all__ = ["MultipartUploads", "PartWriter"]

_READ = 4 * 1024**2


class MultipartUploads:
    """The uploads under way, each a folder with one sparse file and the parts' digests.

    Args:
        blobs: Where the finished file goes.
        root: The Hub's folder.
    """

    def __init__(self, blobs: BlobStore, root: Path) -> None:
        self._blobs = blobs
        self._folder = root / "uploads"

    def part(self, upload: str, number: int, start: int) -> PartWriter:
        """Return a context manager that takes one part's bytes."""
        folder = self._folder / upload
        folder.mkdir(parents=True, exist_ok=True)
        return PartWriter(folder, number, start)

    def complete(
        self, upload: str, oid: str, size: int, *, count: int, etags: dict[int, str]
    ) -> None:
        """Check the parts and the whole, and make it a blob.

        Raises:
            HubError: 400: a part is missing or not the one that the client means, or the whole
                has another digest. In the last case the upload is thrown away.
        """
        folder = self._folder / upload
        if not (folder / "data").exists():
            raise bad_request("There is no such upload.", code="NoSuchUpload")
        if sorted(etags) != list(range(1, count + 1)):
            raise bad_request(f"{count} parts are needed, {len(etags)} came.", code="InvalidPart")
        for number, etag in etags.items():
            marker = folder / f"part-{number}"
            if not marker.exists() or marker.read_text() != etag:
                raise bad_request(f"Part {number} did not arrive as named.", code="InvalidPart")
        data = folder / "data"
        actual = _sha256(data)
        if actual != oid or data.stat().st_size != size:
            shutil.rmtree(folder)
            raise bad_request(f"The data's sha256 is {actual}, not {oid}.", code="BadDigest")
        self._blobs.adopt(data, oid)
        shutil.rmtree(folder)

    def discard_older_than(self, seconds: float) -> None:
        """Throw away uploads that nobody has touched for so long: their URLs have expired."""
        for folder in self._folder.glob("*"):
            if folder.stat().st_mtime < time.time() - seconds:
                shutil.rmtree(folder, ignore_errors=True)


class PartWriter:
    """Takes one part's bytes. Without ``finish`` the part has not arrived."""

    def __init__(self, folder: Path, number: int, start: int) -> None:
        self._marker = folder / f"part-{number}"
        descriptor = os.open(folder / "data", os.O_WRONLY | os.O_CREAT, 0o644)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._file.seek(start)
        self._digest = hashlib.blake2b(digest_size=16)

    def write(self, data: bytes) -> None:
        """Append bytes."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._digest.update(data)

    def finish(self) -> str:
        """Flush the part to the disk and return its ETag."""
        fsync_file(self._file.fileno())
        etag = self._digest.hexdigest()
        write_bytes(self._marker, etag.encode())
        return etag

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while True:
            data = file.read(_READ)
            if not data:
                return digest.hexdigest()
            digest.update(data)
