"""What uses how much storage, and how to free what nothing needs any more."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any, Iterable, Iterator

from hfl_core import get_logger
from hfl_core.errors import ValidationError
from hfl_repo._card._memory import remembered, trailer
from hfl_repo._info import time_of
from hfl_repo._refs import References
from hfl_repo.errors import ConfirmationError, RevisionNotFoundError

__all__ = ["ReclaimReport", "RefUsage", "StorageReport", "StoredFile"]

_LOG = get_logger(__name__)
_BATCH = 1000
_SLOW = 600.0  # rewriting a long history takes the Hub minutes


@dataclasses.dataclass(frozen=True)
class StoredFile:
    """A large file that the Hub keeps for the repository.

    Attributes:
        sha256: The digest of its content.
        path: Where it is, or was when it was uploaded.
        size: Bytes.
        refs: The branches, tags and pull requests that show it now.
        pushed_at: When it was uploaded.
    """

    sha256: str
    path: str
    size: int
    refs: tuple[str, ...] = ()
    pushed_at: dt.datetime | None = None


@dataclasses.dataclass(frozen=True)
class RefUsage:
    """What a branch, tag or pull request shows.

    Attributes:
        ref: Its name.
        kind: ``"branch"``, ``"tag"`` or ``"pull_request"``.
        commit: Its commit.
        files: How many large files it shows.
        bytes: Their size.
        exclusive_bytes: The size of those that nothing else shows: what goes when it goes.
    """

    ref: str
    kind: str
    commit: str
    files: int
    bytes: int
    exclusive_bytes: int


@dataclasses.dataclass(frozen=True)
class StorageReport:
    """What uses the storage of a repository.

    Attributes:
        repo_id: The repository.
        bytes: Of all large files, each content once.
        files: The large files, the greatest first.
        by_ref: What every branch, tag and pull request shows.
    """

    repo_id: str
    bytes: int
    files: tuple[StoredFile, ...]
    by_ref: tuple[RefUsage, ...]

    @property
    def unreferenced(self) -> tuple[StoredFile, ...]:
        """The large files that only the history holds, or nothing at all: what can be freed."""
        return tuple(file for file in self.files if not file.refs)

    @property
    def unreferenced_bytes(self) -> int:
        """Their size."""
        return sum(file.size for file in self.unreferenced)


@dataclasses.dataclass(frozen=True)
class ReclaimReport:
    """What freeing storage takes, or took.

    Attributes:
        repo_id: The repository.
        is_done: Whether it was done; a plan if not.
        squash: The branches whose history becomes one commit.
        delete: The large files that are deleted for good.
        kept: Large files that no branch or tag shows and that stay, because a branch that is not
            squashed has them in its history.
    """

    repo_id: str
    is_done: bool
    squash: tuple[str, ...]
    delete: tuple[StoredFile, ...]
    kept: tuple[StoredFile, ...] = ()

    @property
    def freed_bytes(self) -> int:
        """The size of what is deleted."""
        return sum(file.size for file in self.delete)


class Storage(References):
    """What `RepoManager` does about storage."""

    def storage(self) -> StorageReport:
        """Find out what uses how much, and what nothing shows any more.

        Returns:
            Every large file with the branches, tags and pull requests that show it.

        Raises:
            RepoNotFoundError: There is no such repository.
            PermissionDeniedError: The account may not see the list of large files.

        Example:
            >>> RepoManager("ann/digits").storage().unreferenced_bytes
            0
        """
        refs = self._refs("branch", "tag", "pull_request")
        shown = {ref: self._large_files(ref.commit) for ref in refs}
        where: dict[str, list[str]] = {}
        for ref, files in shown.items():
            for sha256 in files:
                where.setdefault(sha256, []).append(ref.name)
        stored = self._stored(where)
        by_ref = tuple(
            RefUsage(
                ref=ref.name,
                kind=ref.kind,
                commit=ref.commit,
                files=len(files),
                bytes=sum(files.values()),
                exclusive_bytes=sum(size for sha, size in files.items() if len(where[sha]) == 1),
            )
            for ref, files in shown.items()
        )
        return StorageReport(self.repo_id, sum(file.size for file in stored), stored, by_ref)

    def reclaim(
        self,
        plan_only: bool = True,
        *,
        branches: Iterable[str] | None = None,
        confirm: str | None = None,
    ) -> ReclaimReport:
        """Free the storage of large files that no branch, tag or pull request shows any more.

        A file that was deleted or replaced still takes storage, because the history holds it. So
        the histories that do are squashed to one commit each, and then the files are deleted for
        good. What a branch, a tag or a pull request shows is never touched, nor is the history of
        a branch that is not squashed.

        Args:
            plan_only: Say what would be done, and do nothing.
            branches: The branches that may be squashed; None for each whose history holds files
                that can be freed. A branch whose history holds none is never squashed.
            confirm: The repository's name once more; needed where something is done.

        Returns:
            The plan, or what was done.

        Raises:
            ConfirmationError: The confirmation is not the repository's name. Nothing was done.
            RevisionNotFoundError: There is no such branch.
            PermissionDeniedError: The account may not do this.

        Example:
            >>> RepoManager("ann/digits").reclaim(plan_only=True).delete
            ()
        """
        if not plan_only and confirm != self.repo_id:
            raise ConfirmationError(self.repo_id, action="changed")
        self._check_writable()
        plan = self._plan(branches)
        if plan_only or not plan.delete:
            return plan if plan_only else dataclasses.replace(plan, is_done=True)
        self._check_open()
        for branch in plan.squash:
            self._squash(branch)
        # Somebody may have committed meanwhile, a file of the plan included: look again.
        free = {file.sha256 for file in self._plan(()).delete}
        delete = tuple(file for file in plan.delete if file.sha256 in free)
        self._delete_for_good([file.sha256 for file in delete])
        return dataclasses.replace(plan, is_done=True, delete=delete)

    # -- inside -------------------------------------------------------------------------------

    def _plan(self, branches: Iterable[str] | None) -> ReclaimReport:
        report = self.storage()
        heads = {ref.ref: ref.commit for ref in report.by_ref if ref.kind == "branch"}
        allowed = set(heads if branches is None else branches)
        for name in sorted(allowed - heads.keys()):
            raise RevisionNotFoundError(self.repo_id, name, available=list(heads))
        free = {file.sha256: file for file in report.unreferenced}
        squash, held = [], set()
        trees: dict[str, set[str]] = {}
        for name, head in heads.items():
            if not free:
                break
            for found in self._in_history(head, set(free), trees):
                if name in allowed:  # one is enough to know that it has to be squashed
                    squash.append(name)
                    break
                held |= found
        delete = tuple(file for sha, file in free.items() if sha not in held)
        kept = tuple(file for sha, file in free.items() if sha in held)
        needed = tuple(squash) if delete else ()
        return ReclaimReport(self.repo_id, False, needed, delete, kept)

    def _in_history(
        self, head: str, wanted: set[str], trees: dict[str, set[str]]
    ) -> Iterator[set[str]]:
        """Yield which of the wanted files each commit before the head shows, where it shows any."""
        for commit in self.history(head):
            if commit.id == head:
                continue
            if commit.id not in trees:
                trees[commit.id] = wanted & self._large_files(commit.id).keys()
            if trees[commit.id]:
                yield trees[commit.id]

    def _large_files(self, commit: str) -> dict[str, int]:
        """Return the large files that a commit shows: digest to size."""
        target = self._target.at(commit)
        items = self._hub.pages(target.api("tree", commit), target, params={"recursive": "true"})
        found: dict[str, int] = {}
        for item in items:
            lfs = item.get("lfs")
            if isinstance(lfs, dict):
                found[str(lfs["oid"])] = int(lfs.get("size") or item.get("size") or 0)
        return found

    def _stored(self, where: dict[str, list[str]]) -> tuple[StoredFile, ...]:
        target = self._target
        found: dict[str, StoredFile] = {}
        for item in self._hub.pages(target.api("lfs-files"), target):
            file = _stored_file(item, where)
            if file.sha256 not in found:
                found[file.sha256] = file
        return tuple(sorted(found.values(), key=lambda file: (-file.size, file.path)))

    def _squash(self, branch: str) -> None:
        target = self._target.at(branch)
        # The history remembers what we said in the card, and is about to go.
        said = remembered(self._hub, target)
        message = f"Squash the history of {branch}"
        if said:
            message = f"{message}\n\n{trailer(said)}"
        _LOG.info("Squashing the history of %r of %r.", branch, self.repo_id)
        self._hub.send(
            "POST",
            target.api("super-squash", branch),
            target,
            json={"message": message},
            timeout=_SLOW,
        )

    def _delete_for_good(self, digests: list[str]) -> None:
        target = self._target
        for start in range(0, len(digests), _BATCH):
            batch = digests[start : start + _BATCH]
            # No history is rewritten: tags would move, and what they show is not in the batch.
            body = {"deletions": {"sha": batch, "rewriteHistory": False}}
            self._hub.send(
                "POST", target.api("lfs-files", "batch"), target, json=body, timeout=_SLOW
            )
        _LOG.info("Deleted %d large files of %r for good.", len(digests), self.repo_id)


def _stored_file(item: Any, where: dict[str, list[str]]) -> StoredFile:
    digest = next(
        (
            str(value)
            for value in (item.get("fileOid"), item.get("oid"))
            if isinstance(value, str) and len(value) == 64
        ),
        None,
    )
    if digest is None:
        raise ValidationError("The Hub lists a large file without its digest.")
    return StoredFile(
        sha256=digest,
        path=str(item.get("filename") or ""),
        size=int(item.get("size") or 0),
        refs=tuple(where.get(digest, ())),
        pushed_at=time_of(item.get("pushedAt")),
    )
