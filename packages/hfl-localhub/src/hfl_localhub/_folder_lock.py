"""One Hub per folder: two would overwrite each other's state."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from hfl_core.errors import ConflictError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # there the lock is not taken

__all__ = ["FolderLock"]


class FolderLock:
    """A lock on a folder, which the system drops when the process ends, however it ends.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take it. The folder exists.

        Raises:
            ConflictError: Another Hub has it.
        """
        file = self._path.open("a+")
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                owner = file.read().strip()
                file.close()
                raise ConflictError(
                    f"A local Hub (process {owner}) is using {self._path.parent} already.",
                    hint="Stop it, or give this one another folder.",
                ) from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def is_held(self) -> bool:
        """Whether another Hub has it."""
        if not self._path.exists():
            return False
        try:
            self.acquire()
        except ConflictError:
            return True
        self.release()
        return False

    def release(self) -> None:
        """Give it back; no error when it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None
