"""Delete all that a Hub has stored, and nothing else that is in its folder."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from pathlib import Path

from hfl_core.errors import NotFoundError
from hfl_localhub._folder_lock import FolderLock

__all__ = ["ResetPlan", "plan_reset"]

# ``hub.json`` last: as long as it is there, a reset that was interrupted can be repeated.
_OURS = (
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
            for name in _OURS:
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
    if not (root / "hub.json").is_file():
        raise NotFoundError(f"{root} holds no local Hub.", hint="Name its folder with --root.")
    files = (path for name in _OURS for path in [root / name, *(root / name).rglob("*")])
    size = sum(path.lstat().st_size for path in files if path.is_file())
    return ResetPlan(root, len(list(root.glob("repos/*/*/*/repo.json"))), size)
