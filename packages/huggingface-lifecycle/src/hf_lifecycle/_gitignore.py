"""Keeping the folders of runs out of git: lines of a folder's `.gitignore`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Sequence

from hfl_core import translated_os_errors, write_atomically
from hfl_core.errors import ConfigError

__all__ = ["IgnoreFile", "is_in_git", "read_ignore_file"]

NAME = ".gitignore"


@dataclass(frozen=True)
class IgnoreFile:
    """What a folder's `.gitignore` says, and what it is to say.

    Attributes:
        path: The file.
        before: Its bytes; None where there is none.
        after: Its bytes with the lines that were asked for.
    """

    path: Path
    before: bytes | None
    after: bytes

    @property
    def is_changed(self) -> bool:
        """Whether a line is missing."""
        return self.after != (self.before or b"")

    def write(self) -> None:
        """Write it; where a link stands, the file that it leads to."""
        write_atomically(os.path.realpath(self.path), self.after)


def is_in_git(folder: Path) -> bool:
    """Whether a folder, or one above it, is a repository of git."""
    return any((each / ".git").exists() for each in (folder, *folder.parents))


def read_ignore_file(folder: Path, ignored: Sequence[str]) -> IgnoreFile:
    """Read a folder's `.gitignore`, and see what it lacks.

    Args:
        folder: The folder.
        ignored: The folders below it that git is to ignore.

    Returns:
        What it says and what it is to say; comments and everything else stay.

    Raises:
        ConfigError: One of them is not a folder below this one.
    """
    path = folder / NAME
    wanted = [_pattern(folder, text) for text in ignored]
    with translated_os_errors(f"read '{path}'"):
        before = path.read_bytes() if path.exists() else None
    text = before or b""
    known = {_bare(line) for line in text.splitlines()}
    end = b"\r\n" if b"\r\n" in text else b"\n"
    new = [line for line in dict.fromkeys(wanted) if _bare(line) not in known]
    if new and text and not text.endswith((b"\n", b"\r")):
        text += end
    return IgnoreFile(path, before, text + b"".join(line + end for line in new))


def _pattern(folder: Path, text: str) -> bytes:
    path = PurePosixPath(os.path.relpath(folder / text, folder).replace(os.sep, "/"))
    if not text.strip() or path == PurePosixPath() or ".." in path.parts or path.is_absolute():
        raise ConfigError(
            f"{text!r} is not a folder below '{folder}'.",
            hint="Name one that is, such as 'runs'.",
        )
    escaped = "".join(f"\\{letter}" if letter in "*?[\\" else letter for letter in str(path))
    return os.fsencode(f"/{escaped}/")


def _bare(line: bytes) -> bytes:
    return line.strip().strip(b"/")
