"""A history without certain large files."""

from __future__ import annotations

from typing import AbstractSet, Any, Dict, Optional

from hfl_localhub._entries import blob_facts
from hfl_localhub._git import Entry, GitSession

__all__ = ["without_blobs"]


def without_blobs(git: GitSession, digests: AbstractSet[str]) -> None:
    """Rewrite all references so that no commit has a pointer to these blobs.

    The caller has the repository alone. References move one after the other: a kill in between
    leaves some of them rewritten, and doing it again rewrites the rest.

    Args:
        git: The repository.
        digests: The sha256 of the blobs.
    """
    rewrite = _Rewrite(git, digests)
    for ref, sha in git.refs().items():
        changed = rewrite.target(sha)
        if changed != sha:
            git.move_ref(ref, sha, changed)


class _Rewrite:
    def __init__(self, git: GitSession, digests: AbstractSet[str]) -> None:
        self._git = git
        self._digests = digests
        self._commits: Dict[str, str] = {}
        self._trees: Dict[str, Optional[str]] = {}

    def target(self, sha: str) -> str:
        """Return what a reference should point to instead: a commit, or a tag of one."""
        value: Any = self._git.store[sha.encode()]
        if value.type_name != b"tag":
            return self._commit(sha)
        old = self._git.peel(sha) or ""
        new = self._commit(old)
        return sha if new == old else self._git.retag(sha, new)

    def _commit(self, sha: str) -> str:
        """Rewrite a commit and all before it; oldest first, as histories are deeper than the stack."""
        waiting = [sha]
        while waiting:
            commit = self._git.commit(waiting[-1])
            missing = [parent for parent in commit.parents if parent not in self._commits]
            if commit.id in self._commits:
                waiting.pop()
            elif missing:
                waiting.extend(missing)
            else:
                waiting.pop()
                tree = self._tree(commit.tree) or self._git.add_tree(())
                parents = [self._commits[parent] for parent in commit.parents]
                is_same = tree == commit.tree and tuple(parents) == commit.parents
                self._commits[commit.id] = (
                    commit.id
                    if is_same
                    else self._git.add_commit(
                        tree, parents, commit.author, commit.message, commit.time
                    )
                )
        return self._commits[sha]

    def _tree(self, sha: str) -> str | None:
        if sha in self._trees:
            return self._trees[sha]
        kept = []
        entries = self._git.tree(sha)
        for entry in entries:
            if entry.is_folder:
                changed = self._tree(entry.sha)
                if changed is not None:
                    kept.append(Entry(entry.name, entry.mode, changed))
            elif not self._is_unwanted(entry.sha):
                kept.append(entry)
        if tuple(kept) == entries:
            result: Optional[str] = sha
        else:
            result = self._git.add_tree(kept) if kept else None
        self._trees[sha] = result
        return result

    def _is_unwanted(self, sha: str) -> bool:
        pointer = blob_facts(self._git, sha).pointer
        return pointer is not None and pointer.sha256 in self._digests
