"""The Hub's folder: what it may be, and making it."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import List, Union

from hfl_core.errors import ConfigError, DiskSpaceError, HflError, PermissionDeniedError

__all__ = ["OURS", "as_root", "make_root"]

#: What a Hub writes into its folder. ``hub.json`` comes first and goes last: as long as it is there,
#: the rest is a Hub's, and a reset that was interrupted can be repeated.
OURS = (
    "blobs",
    "buckets",
    "client",
    "repos",
    "staging",
    "tmp",
    "uploads",
    "xet",
    "accounts.json",
    "redirects.json",
    "running.json",
    "hub.json",
)
_HINT = "Name another folder: with --root, or as LocalHub's root."
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def as_root(root: Union[str, Path]) -> Path:
    """Return the path of a Hub's folder.

    Raises:
        ConfigError: No folder can be called this.
    """
    if not os.fspath(root).strip():
        # An empty path would be the current folder, which nobody means by it.
        raise ConfigError("The Hub's folder has an empty name.", hint=_HINT)
    if "\0" in os.fspath(root):
        raise ConfigError(f"{os.fspath(root)!r} can't be a folder's name.", hint=_HINT)
    return Path(root)


def make_root(root: Path) -> None:
    """Make a Hub's folder if it is absent. When that fails, nothing was made.

    Raises:
        ConfigError: It is a file, below one, or the folder of something else.
        PermissionDeniedError: It may not be made, or not be written to.
        DiskSpaceError: The disk is full.
    """
    made: List[Path] = []
    try:
        for folder in _missing(root):
            folder.mkdir()
            made.append(folder)
        if not root.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        foreign = _foreign(root)
        if not foreign:
            (root / "lock").open("a").close()  # what the system says to a write, not what it might
    except OSError as error:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise _unusable(root, error) from error
    if foreign:
        raise ConfigError(
            f"{root} is no Hub's folder, and what is called {', '.join(foreign)} is in it.",
            hint=_HINT,
        )


def _foreign(root: Path) -> List[str]:
    """Return what has a name of ours and is not: opening a Hub clears its ``tmp`` and ``staging``."""
    found = [name for name in OURS if os.path.lexists(root / name)]
    return [] if "hub.json" in found else found


def _missing(root: Path) -> List[Path]:
    """Return the folders on the way to a path that are not there, the uppermost first."""
    missing = []
    for folder in [root, *root.parents]:
        try:
            folder.stat()
        except FileNotFoundError:
            missing.append(folder)
        else:
            break
    return missing[::-1]


def _unusable(root: Path, error: OSError) -> HflError:
    message = f"{root} can't be the Hub's folder: {error.strerror}."
    if error.errno in _DENIED:
        return PermissionDeniedError(message, hint=_HINT)
    if error.errno in _FULL:
        return DiskSpaceError(message, hint=_HINT)
    return ConfigError(message, hint=_HINT)
