"""Small files of a repository: read one, and commit a few at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping
from urllib.parse import quote

from hfl_core import RetryPolicy
from hfl_repo._target import Target
from hfl_repo.errors import EntryNotFoundError

if TYPE_CHECKING:
    from hfl_repo._hub import Hub

__all__ = ["Committed", "commit_files", "read_file"]

_ONCE = RetryPolicy(attempts=1)


class Committed:
    """A commit that has landed.

    Args:
        oid: The commit.
        pull_request: The page of the pull request that was opened for it, if one was.
    """

    def __init__(self, oid: str, pull_request: str | None) -> None:
        self.oid = oid
        self.pull_request = pull_request


def read_file(hub: Hub, target: Target) -> bytes | None:
    """Read a small file.

    Args:
        hub: The Hub.
        target: The repository with the revision and the path.

    Returns:
        Its content; None when there is no such file.
    """
    prefix = "" if target.repo_type == "model" else f"{target.repo_type}s/"
    revision = quote(target.revision or "main", safe="")
    path = f"/{prefix}{target.repo_id}/resolve/{revision}/{quote(target.path or '')}"
    try:
        return hub.send("GET", path, target).body
    except EntryNotFoundError:
        return None


def commit_files(
    hub: Hub,
    target: Target,
    files: Mapping[str, bytes],
    *,
    parent: str,
    message: str,
    description: str = "",
    create_pr: bool = False,
) -> Committed:
    """Commit small files, once: whoever calls it looks at the branch before trying again.

    Args:
        hub: The Hub.
        target: The repository with the branch.
        files: Path to content.
        parent: The commit on which the change is based.
        message: The first line of the commit's message.
        description: The rest of it.
        create_pr: Open a pull request instead of committing to the branch.

    Returns:
        The commit.

    Raises:
        HeadMovedError: The branch is not at the parent any more.
    """
    made = hub.call(
        lambda api: api.create_commit(
            target.repo_id,
            [hub.addition(path, content) for path, content in files.items()],
            commit_message=message,
            commit_description=description,
            repo_type=target.repo_type,
            revision=target.revision,
            parent_commit=parent,
            create_pr=create_pr,
        ),
        target,
        retry=_ONCE,
    )
    return Committed(str(made.oid), made.pr_url)
