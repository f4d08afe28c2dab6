"""Delete all that a Hub has stored, and nothing else that is in its folder."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from pathlib import Path

from hfl_core.errors import NotFoundError
from hfl_localhub._folder_lock import FolderLock
from hfl_localhub._root_folder import OURS

__all__ = ["ResetPlan", "plan_reset"]


@dataclasses.dataclass(frozen=True)
class ResetPlan:
    """What a reset deletes.

    Attributes:
        root: The Hub's folder.
        repositories: How many repositories.
        size: How many bytes.
    """

    root: Path
    repositories: int
    size: int

    def carry_out(self) -> None:
        """Delete it.

        Raises:
            ConflictError: A Hub is using the folder.
        """
        lock = FolderLock(self.root)
        lock.acquire()
        try:
            for name in OURS:
                path = self.root / name
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        path.unlink()
        finally:
            lock.release()
        (self.root / "lock").unlink()
        with contextlib.suppress(OSError):  # something that isn't ours is in it
            self.root.rmdir()


def plan_reset(root: Path) -> ResetPlan:
    """Look what there is to delete.

    Raises:
        NotFoundError: The folder holds no Hub.
    """
    if not os.path.isfile(root / "hub.json"):  # noqa: PTH113  # False whatever is wrong with it
        raise NotFoundError(f"{root} holds no local Hub.", hint="Name its folder with --root.")
    files = (path for name in OURS for path in [root / name, *(root / name).rglob("*")])
    size = sum(path.lstat().st_size for path in files if path.is_file())
    return ResetPlan(root, len(list(root.glob("repos/*/*/*/repo.json"))), size)
