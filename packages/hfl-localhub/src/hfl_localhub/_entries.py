"""Files and folders as the API shows them."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone
from typing import Any, Callable, Optional

from hfl_localhub._git import Commit, Entry, GitSession
from hfl_localhub._lfs_index import LONGEST_POINTER, LfsIndex, Pointer, parse_pointer
from hfl_localhub._weighted_cache import WeightedCache

__all__ = ["BlobFacts", "blob_facts", "describe", "file_facts", "isoformat", "last_commits"]


@dataclasses.dataclass(frozen=True)
class BlobFacts:
    """What is known about a file.

    Attributes:
        size: The size of the file that users get, in bytes.
        pointer: For large files, where their bytes are.
        stored: The size of what git holds: the file, or its pointer.
    """

    size: int
    pointer: Optional[Pointer]
    stored: int


_FACTS: WeightedCache[BlobFacts] = WeightedCache(capacity=50_000)


def blob_facts(git: GitSession, sha: str) -> BlobFacts:
    """Return what a blob in git says, whoever wrote it; see :func:`file_facts`."""
    known = _FACTS.get(sha)
    if known is not None:
        return known
    data = git.blob(sha)
    pointer = parse_pointer(data) if len(data) <= LONGEST_POINTER else None
    facts = BlobFacts(pointer.size if pointer else len(data), pointer, len(data))
    _FACTS.put(sha, facts, 1)
    return facts


def file_facts(git: GitSession, sha: str, lfs: LfsIndex) -> BlobFacts:
    """Return what is known about a file of a repository.

    Anybody can commit the text of a pointer to a large file of somebody else. It is a pointer
    only where the repository has the large file, and otherwise a file like any other.
    """
    facts = blob_facts(git, sha)
    if facts.pointer is None or lfs.had(facts.pointer.sha256):
        return facts
    return BlobFacts(facts.stored, None, facts.stored)


def describe(
    git: GitSession, entry: Entry, lfs: LfsIndex, xet_hash: Callable[[str], Optional[str]]
) -> dict[str, Any]:
    """Return a file or a folder as listings show it; the entry's name is its path."""
    if entry.is_folder:
        return {"type": "directory", "oid": entry.sha, "size": 0, "path": entry.name}
    facts = file_facts(git, entry.sha, lfs)
    shown: dict[str, Any] = {
        "type": "file",
        "oid": entry.sha,
        "size": facts.size,
        "path": entry.name,
    }
    if facts.pointer is not None:
        shown["lfs"] = {
            "oid": facts.pointer.sha256,
            "size": facts.pointer.size,
            "pointerSize": facts.stored,
        }
        found = xet_hash(facts.pointer.sha256)
        if found is not None:
            shown["xetHash"] = found
    return shown


def last_commits(git: GitSession, commit: str, paths: set[str]) -> dict[str, Commit]:
    """Return, for each path, the commit that changed it last.

    History is walked until every path is settled; unchanged folders are not entered.
    """
    found: dict[str, Commit] = {}
    missing = set(paths)
    newer: Optional[Commit] = None
    for older in git.line(commit):
        if newer is not None:
            _settle(git, newer, older.tree, missing, found)
            if not missing:
                return found
        newer = older
    for path in missing:
        if newer is not None:
            found[path] = newer
    return found


def _settle(
    git: GitSession, newer: Commit, old_tree: str, missing: set[str], found: dict[str, Commit]
) -> None:
    if newer.tree == old_tree:
        return
    for path in list(missing):
        new, old = git.find(newer.tree, path), git.find(old_tree, path)
        if (new.sha if new else None) != (old.sha if old else None):
            found[path] = newer
            missing.discard(path)


def isoformat(seconds: float) -> str:
    """Return a time as the Hub writes it: UTC with milliseconds."""
    moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
