"""Which large files a repository holds: one small record per blob, until it is deleted for good."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from pathlib import Path
from typing import Iterator

from hfl_localhub._durable import read_json, write_json
from hfl_localhub._store import is_sha256

__all__ = ["LfsIndex", "LfsRecord", "Pointer", "parse_pointer", "pointer_text"]

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d{1,19})\n"
)
LONGEST_POINTER = 200


@dataclasses.dataclass(frozen=True)
class Pointer:
    """What git holds in place of a large file."""

    sha256: str
    size: int


def pointer_text(pointer: Pointer) -> bytes:
    """Return the pointer file's bytes."""
    return (
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{pointer.sha256}\nsize {pointer.size}\n"
    ).encode()


def parse_pointer(data: bytes) -> Pointer | None:
    """Return what a file points to, or None when it is not a pointer."""
    if len(data) > LONGEST_POINTER:
        return None
    found = _POINTER.fullmatch(data)
    return Pointer(found[1].decode(), int(found[2])) if found is not None else None


@dataclasses.dataclass(frozen=True)
class LfsRecord:
    """A blob that belongs to a repository.

    Attributes:
        sha256: The blob.
        size: In bytes.
        path: The file it was first committed as; empty while it is uploaded but not committed.
        ref: The reference it was first committed to.
        pushed_at: When, in seconds since the epoch.
        oid: The sha1 of the pointer file in git.
    """

    sha256: str
    size: int
    path: str
    ref: str
    pushed_at: float
    oid: str = ""


class LfsIndex:
    """A repository's records, one file per blob so that each is written as one step.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, sha256: str) -> LfsRecord | None:
        """Return a blob's record."""
        if not is_sha256(sha256):
            return None
        found = read_json(self._path(sha256))
        return LfsRecord(**found) if found is not None else None

    def put(self, record: LfsRecord) -> None:
        """Add or replace a blob's record."""
        path = self._path(record.sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, dataclasses.asdict(record))

    def remove(self, sha256: str) -> None:
        """Remove a blob's record, and remember that there was one; no error when there is none."""
        with contextlib.suppress(FileNotFoundError):
            self._path(sha256).replace(self._removed(sha256))

    def holds(self, sha256: str) -> bool:
        """Whether the repository has this blob."""
        return is_sha256(sha256) and self._path(sha256).is_file()

    def had(self, sha256: str) -> bool:
        """Whether the repository has this blob or had it until it was deleted for good."""
        return self.holds(sha256) or (is_sha256(sha256) and self._removed(sha256).is_file())

    def digests(self) -> Iterator[str]:
        """Yield the blobs, committed or not."""
        return (path.name for path in self._folder.glob("??/*") if is_sha256(path.name))

    def committed(self) -> list[LfsRecord]:
        """Return the records of blobs that were committed, newest first."""
        records = [record for record in self if record.path]
        return sorted(records, key=lambda record: (-record.pushed_at, record.sha256))

    def __iter__(self) -> Iterator[LfsRecord]:
        for path in self._folder.glob("*/*"):
            if path.name.startswith("."):  # left by a kill
                continue
            found = read_json(path)
            if found is not None:
                yield LfsRecord(**found)

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def _removed(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / f".removed-{sha256}"
