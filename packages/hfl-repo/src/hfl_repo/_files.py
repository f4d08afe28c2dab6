"""Small files of a repository: read one, and commit a few at once."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Mapping
from urllib.parse import quote

from hfl_repo._target import Target
from hfl_repo.errors import EntryNotFoundError

if TYPE_CHECKING:
    from hfl_repo._hub import Hub

__all__ = ["Committed", "commit_files", "read_file"]


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
    """Commit small text files in one request, once: whoever calls it looks at the branch before trying again.

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
    header = {"summary": message, "description": description, "parentCommit": parent}
    lines = [{"key": "header", "value": header}]
    for path, content in files.items():
        encoded = base64.b64encode(content).decode("ascii")
        value = {"path": path, "content": encoded, "encoding": "base64"}
        lines.append({"key": "file", "value": value})
    made = hub.send_once(
        "POST",
        target.api("commit", target.revision or "main"),
        target,
        params={"create_pr": "1"} if create_pr else None,
        content="".join(json.dumps(line) + "\n" for line in lines).encode("utf-8"),
        headers={"Content-Type": "application/x-ndjson"},
    ).json()
    pull_request = made.get("pullRequestUrl")
    return Committed(str(made["commitOid"]), str(pull_request) if pull_request else None)
