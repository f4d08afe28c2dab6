"""Reading the history of a dataset: its versions, and what each says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Optional

from hfl_datasets._version_names import order_of
from hfl_datasets._versions import DatasetVersion

if TYPE_CHECKING:
    from hfl_repo import Commit, RepoManager

__all__ = ["find_versions"]

# The last line of a commit of ours; what comes before it is what became of the rows.
_TRAILER = "Hfl-Card: "


def find_versions(
    repo: RepoManager, revision: Optional[str], limit: Optional[int]
) -> tuple[DatasetVersion, ...]:
    """Go through the history, the newest first, for commits with data or tags.

    Args:
        repo: The repository.
        revision: Where to start.
        limit: The most to return.
    """
    tags: Dict[str, List[str]] = {}
    for tag in repo.list_tags():
        tags.setdefault(tag.commit, []).append(tag.name)
    found: List[DatasetVersion] = []
    for commit in repo.history(revision):
        if limit is not None and len(found) >= limit:
            break
        changes = _changes(commit)
        if changes is not None or commit.id in tags:
            names = sorted(
                tags.get(commit.id, ()), key=lambda n: (order_of(n) or (), n), reverse=True
            )
            found.append(
                DatasetVersion(
                    commit.id,
                    tuple(names),
                    commit.created_at,
                    commit.title,
                    commit.authors,
                    changes or "",
                )
            )
    return tuple(found)


def _changes(commit: Commit) -> Optional[str]:
    """Return what a commit of data says about its rows; None where it is none."""
    text, mark, _ = commit.message.partition(_TRAILER)
    if mark and text.strip():
        return text.strip()
    # Commits of `push_to_hub` say so in their title.
    is_pushed = commit.title.startswith("Upload dataset") or commit.title == "Upload"
    return "" if is_pushed else None
