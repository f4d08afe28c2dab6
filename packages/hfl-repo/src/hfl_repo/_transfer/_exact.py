"""A commit of many parts that stands on one state of a branch, or is not made at all."""

from __future__ import annotations

import dataclasses
from typing import Callable, Mapping, NoReturn, Sequence

from hfl_core.errors import HflError
from hfl_repo._transfer._change import Change
from hfl_repo._transfer._commit import Landed, find_landed
from hfl_repo._transfer._digest_cache import DigestCache
from hfl_repo._transfer._digests import FileDigests, digest_files
from hfl_repo._transfer._findings import Finding
from hfl_repo._transfer._gate import pass_gate
from hfl_repo._transfer._plan import Plan, make_plan
from hfl_repo._transfer._remote import RemoteFile, Tree
from hfl_repo._transfer._report import TransferReport
from hfl_repo._transfer._scan import LocalFile
from hfl_repo._transfer._upload import Upload
from hfl_repo.errors import HeadMovedError

__all__ = ["ExactCommit", "Parts"]


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a commit consists of.

    Attributes:
        files: The files that come from here.
        findings: What was found about them while they were looked up.
        copies: Large files that the repository has already, by the path that they get.
        deletes: Says of a file of the branch whether it goes.
        known: The sha256 of files, by path, where somebody knows it.
    """

    files: Sequence[LocalFile]
    findings: Sequence[Finding] = ()
    copies: Mapping[str, RemoteFile] = dataclasses.field(default_factory=dict)
    deletes: Callable[[str], bool] = lambda _: False
    known: Mapping[str, str] = dataclasses.field(default_factory=dict)


class ExactCommit(Upload):
    """An upload that is not carried over to another state of the branch: whoever asked decides anew."""

    def prepare_parts(self, parts: Parts, tree: Tree, cache: DigestCache) -> None:
        """Compare with the branch, and pass the gate. Nothing is sent.

        Args:
            parts: What the commit consists of.
            tree: What the branch holds.
            cache: The digests that are known.

        Raises:
            UnsafeUploadError: Something must not leave the machine.
        """
        check = self._patience.check
        self._tree = tree
        self._plan, self._hashed = _plan(parts, tree, cache, check)
        sent = self._plan.to_send
        with self._progress.task("Checking", sum(f.size for f in sent), "bytes") as task:
            pass_gate(
                sent,
                parts.findings,
                self._wish.allowed,
                cache,
                advance=task.advance,
                check=check,
            )

    def carry_out(self) -> TransferReport:
        """Send what has to be sent, and commit it.

        Raises:
            HeadMovedError: The branch is elsewhere by now; nothing was changed.
            HflError: It could not be done; the repository is as it was.
        """
        try:
            return super().carry_out()
        except _ElsewhereError as error:
            raise self._moved() from error

    def _attempt(self) -> Landed | None:
        try:
            return super()._attempt()
        except HeadMovedError:
            if self._is_unsure:  # it may be our own commit that moved it
                landed = self._find_own()
                if landed is not None:
                    return landed
            raise _ElsewhereError(self._moved().message) from None

    def _look_again(self) -> Landed | None:
        if self._head() == self._base:
            self._has_to_look = False
            return None
        landed = self._find_own() if self._is_unsure else None
        if landed is None:
            self._give_way()
        return landed

    def _find_own(self) -> Landed | None:
        return find_landed(
            self._hub, self._target, self._plan, base=self._base, message=self._wish.message
        )

    def _give_way(self) -> NoReturn:
        raise _ElsewhereError(self._moved().message)

    def _moved(self) -> HeadMovedError:
        return HeadMovedError(self._target.repo_id, self._target.revision or "main")


class _ElsewhereError(HflError):
    """The branch has moved. No `HeadMovedError`: after that one, the same would be tried again."""


def _plan(
    parts: Parts, tree: Tree, cache: DigestCache, check: Callable[[], None]
) -> tuple[Plan, int]:
    """Decide what has to change; a file whose content is known and there already is not even read."""
    there = {file.sha256 for file in tree.values() if file.sha256 is not None}
    digests = {
        file.path: FileDigests(parts.known[file.path], None)
        for file in parts.files
        if parts.known.get(file.path) in there
    }
    hashed = digest_files([f for f in parts.files if f.path not in digests], cache, check=check)
    digests.update(hashed.digests)
    plan = make_plan(
        parts.files,
        digests,
        tree,
        delete=lambda path: path not in parts.copies and parts.deletes(path),
    )
    changes, unchanged = list(plan.changes), list(plan.unchanged)
    for path, file in sorted(parts.copies.items()):
        present = tree.get(path)
        digests[path] = FileDigests(file.sha256 or "", None)
        if present is not None and present.sha256 == file.sha256:
            unchanged.append(Change(path, "unchanged", file.size, sha256=file.sha256))
        else:
            changes.append(Change(path, "copy", file.size, file.path, file.sha256))
    return Plan(tuple(changes), tuple(unchanged), digests, plan.files), hashed.bytes_read
