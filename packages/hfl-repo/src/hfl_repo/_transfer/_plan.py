"""What has to change in a repository so that it holds what is here. Only content decides."""

from __future__ import annotations

import dataclasses
from typing import Callable, Iterable, Mapping, Sequence

from hfl_core.errors import ConflictError
from hfl_repo._transfer._change import Change, ChangeKind
from hfl_repo._transfer._digests import FileDigests
from hfl_repo._transfer._remote import Tree
from hfl_repo._transfer._scan import LocalFile

__all__ = ["Plan", "make_plan"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What has to be done, in relation to one state of the repository.

    Attributes:
        changes: What has to change, by path; deletions first.
        unchanged: What is there already.
        digests: The digests of the files here, by path.
        files: The files here, by path.
    """

    changes: tuple[Change, ...]
    unchanged: tuple[Change, ...]
    digests: Mapping[str, FileDigests]
    files: Mapping[str, LocalFile]

    @property
    def to_send(self) -> tuple[LocalFile, ...]:
        """The files whose content the repository has nowhere at that state."""
        return tuple(
            self.files[change.path] for change in self.changes if change.kind in ("add", "change")
        )

    @property
    def all(self) -> tuple[Change, ...]:
        """Every change and everything unchanged, by path."""
        return tuple(sorted((*self.changes, *self.unchanged), key=lambda change: change.path))

    def is_done_in(self, tree: Tree) -> bool:
        """Say whether a state of the repository holds all that this plan wants to change."""
        return all(self._is_done(change, tree) for change in self.changes)

    def conflicts(self, old: Tree, new: Tree) -> tuple[str, ...]:
        """Name the files that somebody else changed, too, to something else.

        Args:
            old: The state that the plan was made for.
            new: The state now.
        """
        return tuple(
            change.path
            for change in self.changes
            if old.get(change.path) != new.get(change.path) and not self._is_done(change, new)
        )

    def onto(self, tree: Tree, *, without: Sequence[str] = ()) -> Plan:
        """Make the same plan for another state of the repository.

        What was unchanged stays out of it: if somebody else changed such a file meanwhile, theirs
        is newer, and nobody here asked to change it.

        Args:
            tree: The other state.
            without: Files to leave as they are there.
        """
        paths = {change.path for change in self.changes if change.path not in set(without)}
        files = [file for path, file in self.files.items() if path in paths]
        deletions = {change.path for change in self.changes if change.kind == "delete"} & paths
        again = make_plan(files, self.digests, tree, delete=deletions.__contains__)
        return dataclasses.replace(again, unchanged=(*self.unchanged, *again.unchanged))

    def leaving_out(self, paths: Iterable[str]) -> Plan:
        """Make the same plan without some files."""
        out = set(paths)
        return dataclasses.replace(
            self, changes=tuple(change for change in self.changes if change.path not in out)
        )

    def _is_done(self, change: Change, tree: Tree) -> bool:
        there = tree.get(change.path)
        if change.kind == "delete":
            return there is None
        return there is not None and there.holds(self.digests[change.path])


def make_plan(
    files: Sequence[LocalFile],
    digests: Mapping[str, FileDigests],
    tree: Tree,
    *,
    delete: Callable[[str], bool] = lambda _: False,
) -> Plan:
    """Compare files with a state of a repository.

    Args:
        files: What is here.
        digests: Its digests, by path.
        tree: The state of the repository.
        delete: Says of a file that is not here whether it is to go.

    Returns:
        The plan.

    Raises:
        ConflictError: A file here has the name of a folder there, or the reverse.
    """
    here = {file.path: file for file in files}
    deleted = sorted(path for path in tree if path not in here and delete(path))
    _check_folders(here, tree, set(deleted))
    places = {file.sha256: path for path, file in tree.items() if file.sha256 is not None}
    changes = [Change(path, "delete", tree[path].size) for path in deleted]
    unchanged: list[Change] = []
    for path, file in sorted(here.items()):
        there, named = tree.get(path), digests[path]
        if there is not None and there.size == file.size and there.holds(named):
            unchanged.append(Change(path, "unchanged", file.size, sha256=named.sha256))
            continue
        kind: ChangeKind = "add" if there is None else "change"
        source = places.get(named.sha256)
        if source is not None:
            kind = "copy"
        changes.append(Change(path, kind, file.size, source, named.sha256))
    return Plan(tuple(changes), tuple(unchanged), digests, here)


def _check_folders(here: Mapping[str, LocalFile], tree: Tree, deleted: set[str]) -> None:
    remaining = {path for path in tree if path not in deleted}
    for some, others, what in ((here, remaining, "a folder"), (remaining, here, "a file")):
        folders = {parent for path in others for parent in _parents(path)}
        for path in some:
            if path in folders:
                raise ConflictError(
                    f"{path!r} is {what} in the repository and something else here.",
                    hint="Delete it there first, or upload with delete=True.",
                )


def _parents(path: str) -> Iterable[str]:
    end = path.rfind("/")
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)
