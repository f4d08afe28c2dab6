"""Free what nothing refers to any more."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Any

from hfl_localhub._git import GitSession
from hfl_localhub._repos import Repo

__all__ = ["collect_garbage", "reachable"]


def reachable(git: GitSession) -> set[str]:
    """Return the sha1s of all objects that the references lead to."""
    found: set[str] = set()
    open_ends = list(git.refs().values())
    while open_ends:
        sha = open_ends.pop()
        if sha in found:
            continue
        found.add(sha)
        value: Any = git.store[sha.encode()]
        if value.type_name == b"tag":
            open_ends.append(value.object[1].decode())
        elif value.type_name == b"commit":
            open_ends.append(value.tree.decode())
            open_ends.extend(parent.decode() for parent in value.parents)
        elif value.type_name == b"tree":
            for _, mode, child in value.iteritems():
                if stat.S_ISDIR(mode):
                    open_ends.append(child.decode())
                else:
                    found.add(child.decode())
    return found


def collect_garbage(repo: Repo, git: GitSession) -> None:
    """Remove the objects that no reference leads to. The caller has the repository alone.

    All objects are loose files (this Hub writes no packs), so each is removed on its own and a
    kill half-way leaves a repository that is as valid, with some garbage more. Files that were
    being written when a process was killed go, too: nobody is writing now.
    """
    kept = reachable(git)
    for path in _loose_objects(repo.git.path / "objects"):
        if path.parent.name + path.name not in kept:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def _loose_objects(folder: Path) -> list[Path]:
    found: list[Path] = []
    for entry in os.scandir(folder):
        if len(entry.name) == 2 and entry.is_dir():
            found.extend(Path(child.path) for child in os.scandir(entry.path))
    return found
