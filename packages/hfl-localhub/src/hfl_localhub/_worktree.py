"""A tree that is being changed: only the folders that a change touches are read and rewritten."""

from __future__ import annotations

import stat
from typing import Dict, Optional, Union

from hfl_localhub._git import Entry, GitSession

__all__ = ["PathClashError", "WorkTree"]

_FILE = stat.S_IFREG | 0o644


class PathClashError(ValueError):
    """A path needs a folder where there is a file, or the other way round."""


class _Folder:
    def __init__(self, git: GitSession, sha: Optional[str]) -> None:
        self._git = git
        self._sha = sha
        self._children: Optional[Dict[str, Union[Entry, _Folder]]] = None

    @property
    def children(self) -> Dict[str, Union[Entry, _Folder]]:
        if self._children is None:
            entries = self._git.tree(self._sha) if self._sha is not None else ()
            self._children = {entry.name: entry for entry in entries}
        return self._children

    def folder(self, name: str, *, create: bool) -> Optional[_Folder]:
        child = self.children.get(name)
        if isinstance(child, Entry) and child.is_folder:
            child = self.children[name] = _Folder(self._git, child.sha)
        if child is None and create:
            child = self.children[name] = _Folder(self._git, None)
        return child if isinstance(child, _Folder) else None

    @property
    def is_empty(self) -> bool:
        """Whether no file is left in it, at any depth: git knows no such folder."""
        return all(
            isinstance(child, _Folder) and child.is_empty for child in self.children.values()
        )

    def write(self) -> Optional[str]:
        """Write what changed and return the tree's sha1, or None when nothing is left in it."""
        if self._children is None:
            return self._sha
        entries = []
        for name, child in self._children.items():
            if isinstance(child, Entry):
                entries.append(child)
                continue
            sha = child.write()
            if sha is not None:
                entries.append(Entry(name, stat.S_IFDIR, sha))
        return self._git.add_tree(entries) if entries else None


class WorkTree:
    """A commit's tree, open for changes. Changes apply in the order they are made.

    Args:
        git: The repository.
        tree: The sha1 of the tree to start from, or None for an empty one.
    """

    def __init__(self, git: GitSession, tree: str | None) -> None:
        self._git = git
        self._root = _Folder(git, tree)

    def put(self, path: str, blob: str) -> None:
        """Set a file.

        Raises:
            PathClashError: A part of the path is a file, or the path is a folder.
        """
        *folders, name = path.split("/")
        here = self._root
        for index, folder in enumerate(folders):
            there = here.folder(folder, create=True)
            if there is None:
                raise PathClashError(f"{'/'.join(folders[: index + 1])} is a file, not a folder.")
            here = there
        there = here.folder(name, create=False)
        if there is not None and not there.is_empty:
            raise PathClashError(f"{path} is a folder, not a file.")
        here.children[name] = Entry(name, _FILE, blob)

    def remove(self, path: str, *, is_folder: bool) -> bool:
        """Remove a file or a folder. Returns whether it was there, as that."""
        *folders, name = path.split("/")
        here: Optional[_Folder] = self._root
        for folder in folders:
            here = here.folder(folder, create=False) if here is not None else None
        if here is None or name not in here.children:
            return False
        if is_folder != (here.folder(name, create=False) is not None):
            return False
        del here.children[name]
        return True

    def clear(self) -> None:
        """Remove everything."""
        self._root.children.clear()

    def write(self) -> str:
        """Write the changed folders and return the root's sha1."""
        return self._root.write() or self._git.add_tree(())
