"""A folder for the files of one upload, which is cleared up even if the process that made it was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Iterator

from hfl_core import load_settings

__all__ = ["workspace"]

_LOCK = ".lock"


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """Make a folder that nobody else uses, and remove it in the end.

    Folders that a process left behind when it was killed are removed first: their locks are free.

    Yields:
        The folder.
    """
    root = Path(load_settings().cache_dir) / "datasets" / "uploads"
    root.mkdir(parents=True, exist_ok=True)
    _clear_up(root)
    folder = Path(tempfile.mkdtemp(dir=root))
    with (folder / _LOCK).open("wb") as lock:
        _try_lock(lock.fileno())
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _clear_up(root: Path) -> None:
    for folder in root.iterdir():
        with contextlib.suppress(OSError):
            with (folder / _LOCK).open("rb+") as lock:
                is_left = _try_lock(lock.fileno())
            if is_left:
                shutil.rmtree(folder, ignore_errors=True)


def _try_lock(descriptor: int) -> bool:
    """Lock a file for as long as it is open, or as the process lives; False if somebody else has."""
    if os.name != "posix":
        return False  # nothing is cleared up there
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
