"""What is in a repository at a commit, by one listing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping

from hfl_core.errors import NetworkError
from hfl_repo._transfer._tree import RemoteFile

if TYPE_CHECKING:
    from hfl_repo._hub import Hub
    from hfl_repo._target import Target

__all__ = ["RemoteFile", "Tree", "list_tree"]


Tree = Dict[str, RemoteFile]


def list_tree(hub: Hub, target: Target) -> Tree:
    """List all files of a commit; the Hub answers with a thousand at a time.

    Args:
        hub: The Hub.
        target: The repository with the commit.

    Returns:
        The files by path.

    Raises:
        NetworkError: The answer is not what a Hub sends.
    """
    revision = target.revision or "main"
    params = {"recursive": "true", "expand": "false"}
    pages = hub.pages(target.api("tree", revision), target, params=params)
    try:
        found = [_file(item) for item in pages if item.get("type") == "file"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NetworkError(f"{hub.endpoint} lists files in a way that is not a Hub's.") from error
    return {file.path: file for file in found}


def _file(item: Mapping[str, Any]) -> RemoteFile:
    lfs = item.get("lfs")
    return RemoteFile(
        path=str(item["path"]),
        size=int(lfs["size"] if lfs else item["size"]),
        git_sha1=str(item["oid"]),
        sha256=str(lfs["oid"]) if lfs else None,
    )
