"""Three-way merges of whole files, which is what large files allow."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Tuple

from hfl_localhub._commits import changed_files
from hfl_localhub._entries import blob_facts
from hfl_localhub._git import GitSession
from hfl_localhub._worktree import PathClashError, WorkTree

__all__ = ["Merge", "diff_text", "merge"]

_LARGEST_DIFF = 64 * 1024


@dataclasses.dataclass(frozen=True)
class Merge:
    """What a merge comes to.

    Attributes:
        tree: The merged tree; meaningless when there are conflicts.
        conflicts: The paths that both sides changed, each in its own way.
        base: The newest commit that both sides have.
    """

    tree: str
    conflicts: Tuple[str, ...]
    base: str


def merge(git: GitSession, ours: str, theirs: str) -> Merge:
    """Merge one commit into another, without writing a commit."""
    base = _merge_base(git, ours, theirs)
    base_tree = git.commit(base).tree
    our_tree, their_tree = git.commit(ours).tree, git.commit(theirs).tree
    our_changes = changed_files(git, base_tree, our_tree)
    their_changes = changed_files(git, base_tree, their_tree)
    conflicts = sorted(
        path
        for path in our_changes.keys() & their_changes.keys()
        if our_changes[path][1] != their_changes[path][1]
    )
    tree = WorkTree(git, our_tree)
    try:
        for path, (_, blob) in their_changes.items():
            if blob is None:
                tree.remove(path, is_folder=False)
        for path, (_, blob) in their_changes.items():
            if blob is not None and path not in conflicts:
                tree.put(path, blob)
    except PathClashError:
        conflicts.append(path)
    return Merge(tree.write(), tuple(conflicts), base)


def _merge_base(git: GitSession, ours: str, theirs: str) -> str:
    ancestors = {commit.id for commit in git.history(ours)}
    for commit in git.history(theirs):
        if commit.id in ancestors:
            return commit.id
    # Histories that share nothing (one side was squashed): as if theirs began at its root.
    return [commit.id for commit in git.history(theirs)][-1]


def diff_text(git: GitSession, base: str, theirs: str) -> str:
    """Return a unified diff of the small text files, and a line for each other file."""
    lines = []
    changes = changed_files(git, git.commit(base).tree, git.commit(theirs).tree)
    for path, (old, new) in changes.items():
        lines.append(f"diff --git a/{path} b/{path}\n")
        before, after = _lines(git, old), _lines(git, new)
        if before is None or after is None:
            lines.append("Binary files differ\n")
        else:
            lines += difflib.unified_diff(before, after, f"a/{path}", f"b/{path}")
    return "".join(lines)


def _lines(git: GitSession, sha: str | None) -> list[str] | None:
    if sha is None:
        return []
    if blob_facts(git, sha).stored > _LARGEST_DIFF:
        return None
    try:
        return git.blob(sha).decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        return None
