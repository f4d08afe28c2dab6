"""What is in a folder that is to be uploaded."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Iterator, Sequence

from hfl_core.errors import ValidationError
from hfl_repo._transfer._findings import Allowed, Finding
from hfl_repo._transfer._paths import checked_folder, checked_path, path_problem
from hfl_repo._transfer._patterns import PathFilter

__all__ = ["FileKey", "LocalFile", "Scan", "file_key", "scan"]

# huggingface_hub keeps its own notes in `.cache/huggingface`; git's folder is never content.
_NEVER = {".git", ".cache/huggingface"}
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class FileKey:
    """What changes when a file's content does.

    Attributes:
        device: The file system.
        inode: The file in it.
        size: Bytes.
        mtime_ns: When its content was changed, as told.
        ctime_ns: When anything about it was changed; nobody can set it.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    def may_have_the_content_of(self, other: FileKey) -> bool:
        """Say whether the two differ in their ctime at most.

        A second name for a file, or one less, changes its ctime and nothing in it. Files that checkpoints
        share get names all the time.
        """
        return dataclasses.replace(self, ctime_ns=other.ctime_ns) == other


@dataclasses.dataclass(frozen=True)
class LocalFile:
    """A file that is to be in the repository.

    Attributes:
        path: Its path in the repository.
        source: Where it is.
        key: Its state when it was looked at.
    """

    path: str
    source: Path
    key: FileKey

    @property
    def size(self) -> int:
        """Bytes."""
        return self.key.size


@dataclasses.dataclass(frozen=True)
class Scan:
    """What was found.

    Attributes:
        folder: The folder of the repository that it goes into; empty for the root.
        files: The files, in the order of their paths.
        findings: Links that lead elsewhere and what is no file.
        is_folder: Whether a whole folder was looked at.
    """

    folder: str
    files: tuple[LocalFile, ...]
    findings: tuple[Finding, ...] = ()
    is_folder: bool = True


def file_key(source: Path) -> FileKey:
    """Look at a file."""
    status = source.stat()
    return FileKey(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def scan(path: Path, path_in_repo: str | None, taken: PathFilter, allowed: Allowed) -> Scan:
    """Look at a file or a folder.

    Args:
        path: The file or folder.
        path_in_repo: For a folder, the folder of the repository; for a file, its path there.
        taken: Which files of the folder are taken.
        allowed: Which links are followed although they leave the folder.

    Returns:
        What is there.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        ValidationError: Nothing is left to upload, or a name cannot be one in a repository.
    """
    if path.is_dir():
        folder = checked_folder(path_in_repo)
        return _scan_folder(path, folder, taken, allowed)
    if not os.path.lexists(path):
        raise PathNotFoundError(path)
    name = path_in_repo or path.name
    in_repo = checked_path(name + path.name if name.endswith("/") else name)
    if not path.is_file():
        raise ValidationError(f"{os.fspath(path)!r} is neither a file nor a folder.")
    return Scan("", (LocalFile(in_repo, path, file_key(path)),), is_folder=False)


class PathNotFoundError(ValidationError, FileNotFoundError):
    """There is nothing at the path that is to be uploaded."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"There is no file or folder {os.fspath(path)!r}.", hint="Check the path to upload."
        )


def _scan_folder(root: Path, folder: str, taken: PathFilter, allowed: Allowed) -> Scan:
    walk = _Walk(root, taken, allowed)
    found = sorted(walk.files())
    names = [f"{folder}/{name}" if folder else name for name, _ in found]
    bad = [f"{name!r} ({problem})" for name in names for problem in [path_problem(name)] if problem]
    if bad:
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise ValidationError(
            f"The Hub does not take these names: {', '.join(bad[:_SHOWN])}{more}.",
            hint="Rename the files, or leave them out with exclude.",
        )
    if not found and not walk.findings:
        raise ValidationError(
            f"There is no file to upload in {os.fspath(root)!r}.",
            hint="Check the folder, and what include and exclude leave of it.",
        )
    files = tuple(
        LocalFile(name, root / relative, key) for name, (relative, key) in zip(names, found)
    )
    findings = tuple(
        dataclasses.replace(finding, path=f"{folder}/{finding.path}" if folder else finding.path)
        for finding in walk.findings
    )
    return Scan(folder, files, findings)


class _Walk:
    def __init__(self, root: Path, taken: PathFilter, allowed: Allowed) -> None:
        self._root = os.path.realpath(root)
        self._taken = taken
        self._allowed = allowed
        self.findings: list[Finding] = []

    def files(self) -> Iterator[tuple[str, FileKey]]:
        return self._folder(self._root, "", (self._root,))

    def _folder(
        self, place: str, prefix: str, above: Sequence[str]
    ) -> Iterator[tuple[str, FileKey]]:
        with os.scandir(place) as listing:
            entries = list(listing)
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if name in _NEVER or entry.name == ".git":
                continue
            if entry.is_symlink() and not self._follows(entry, name, above):
                continue
            if entry.is_dir():
                real = os.path.realpath(entry.path)
                yield from self._folder(entry.path, f"{name}/", (*above, real))
            elif self._taken.takes(name):
                if entry.is_file():
                    yield name, file_key(Path(entry.path))  # on Windows an entry knows no inode
                else:
                    self._note(Finding(name, "special", "it is a pipe, a socket or a device"))

    def _follows(self, entry: os.DirEntry[str], name: str, above: Sequence[str]) -> bool:
        real = os.path.realpath(entry.path)
        try:
            is_folder = entry.is_dir()
        except OSError:  # links that lead to each other
            return self._note(Finding(name, "link", "a link that leads nowhere but to itself"))
        if not is_folder and not self._taken.takes(name):
            return False
        if not os.path.lexists(real):
            return self._note(Finding(name, "link", "a link to something that does not exist"))
        if real in above and is_folder:
            return self._note(Finding(name, "link", "a link to a folder that it is in itself"))
        if real != self._root and not real.startswith(self._root.rstrip(os.sep) + os.sep):
            return self._note(Finding(name, "link", "a link that leaves the folder"), can_pass=True)
        return True

    def _note(self, finding: Finding, *, can_pass: bool = False) -> bool:
        """Return whether it is to be taken all the same."""
        if self._allowed.lets_through(finding):
            return can_pass
        self.findings.append(finding)
        return False
