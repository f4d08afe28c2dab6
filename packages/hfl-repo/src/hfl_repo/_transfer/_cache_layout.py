"""Where huggingface_hub keeps what it downloads, and what was in a commit.

Source: "Understand caching" in huggingface_hub's documentation. The layout is shared with
transformers, datasets and everything else that downloads from a Hub.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from hfl_core import get_logger, write_atomically
from hfl_repo._transfer._remote import RemoteFile, Tree

if TYPE_CHECKING:
    from hfl_repo._target import Target

__all__ = ["RepoCache", "TreeNotes", "cache_folder"]

_LOG = get_logger(__name__)


def cache_folder() -> Path:
    """Return where the Hub's clients keep downloads, by the environment as it is now."""
    explicit = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if explicit:
        return _expanded(explicit)
    home = os.environ.get("HF_HOME")
    if not home:
        home = f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    return _expanded(home) / "hub"


def _expanded(text: str) -> Path:
    # As the Hub's own client does it: who has no home gets a folder called "~", where pathlib would raise.
    expanded = os.path.expanduser(os.path.expandvars(text))  # noqa: PTH111  # as said
    return Path(expanded)


class RepoCache:
    """The part of the cache that belongs to one repository.

    Args:
        folder: The cache.
        target: The repository.
    """

    def __init__(self, folder: Path, target: Target) -> None:
        name = "--".join([f"{target.repo_type}s", *target.repo_id.split("/")])
        self._root = folder / name

    def snapshot(self, commit: str) -> Path:
        """Return the folder that shows a commit's files."""
        return self._root / "snapshots" / commit

    def remember(self, revision: str, commit: str) -> None:
        """Note where a revision is, for those who look without a network."""
        if revision == commit:
            return
        place = self._root.joinpath("refs", *revision.split("/"))
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.is_file() or place.read_text() != commit:
                write_atomically(place, commit)
        except OSError as error:
            _LOG.debug("%s could not be noted in the cache: %s", revision, error)

    def commit_of(self, revision: str) -> str | None:
        """Return where a revision was when it was last seen."""
        place = self._root.joinpath("refs", *revision.split("/"))
        if place.is_file():
            return place.read_text().strip()
        return revision if self.snapshot(revision).is_dir() else None

    @staticmethod
    def discard(file: Path) -> None:
        """Take a damaged file out of the cache, with the content that it points to."""
        content = Path(os.path.realpath(file))
        for path in {file, content}:
            if os.path.lexists(path):
                path.unlink()


class TreeNotes:
    """What was in which commit, so that a download can be verified without a network.

    Args:
        folder: Where it is kept.
        endpoint: The Hub.
        target: The repository.
    """

    def __init__(self, folder: Path, endpoint: str, target: Target) -> None:
        named = f"{endpoint} {target.repo_type} {target.repo_id}".encode()
        self._root = folder / "trees" / hashlib.sha256(named).hexdigest()[:32]

    def read(self, commit: str) -> Tree | None:
        """Return the files of a commit, which never change; None if they were not noted."""
        try:
            data = json.loads((self._root / f"{commit}.json").read_bytes())
            return {path: RemoteFile(path, *rest) for path, *rest in data}
        except (OSError, ValueError, TypeError):
            return None

    def write(self, commit: str, tree: Tree) -> None:
        """Note the files of a commit."""
        data = [[f.path, f.size, f.git_sha1, f.sha256] for f in tree.values()]
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            write_atomically(self._root / f"{commit}.json", json.dumps(data))
        except OSError as error:
            _LOG.debug("The files of %s could not be noted: %s", commit, error)
