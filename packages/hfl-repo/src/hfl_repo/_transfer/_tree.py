"""What a revision of a repository holds."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Mapping

if TYPE_CHECKING:
    from hfl_repo._transfer._digests import FileDigests

__all__ = ["RemoteFile", "RepoTree"]


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """A file in a repository.

    Attributes:
        path: Its path.
        size: Bytes.
        git_sha1: git's name for what it keeps: the content, or the pointer to a large file.
        sha256: The content's name as a large file; None for a small one.
    """

    path: str
    size: int
    git_sha1: str
    sha256: str | None = None

    def holds(self, digests: FileDigests) -> bool:
        """Say whether its content is the one with these digests."""
        if self.sha256 is not None:
            return self.sha256 == digests.sha256
        return self.git_sha1 == digests.git_sha1


@dataclasses.dataclass(frozen=True)
class RepoTree:
    """What a branch, a tag or a commit holds.

    Attributes:
        commit: The commit.
        files: Its files, by path.
    """

    commit: str
    files: Mapping[str, RemoteFile]
