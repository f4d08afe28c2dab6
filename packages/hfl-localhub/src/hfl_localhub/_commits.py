"""Commits that arrive as lines of JSON."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import time
from pathlib import Path
from typing import Any, Iterator, Optional

from hfl_localhub._errors import (
    HubError,
    bad_request,
    entry_not_found,
    payload_too_large,
    precondition_failed,
    revision_not_found,
)
from hfl_localhub._git import GitSession
from hfl_localhub._lfs_index import Pointer, pointer_text
from hfl_localhub._paths import check_path
from hfl_localhub._repos import Repo
from hfl_localhub._store import BlobStore, is_sha256
from hfl_localhub._worktree import PathClashError, WorkTree

__all__ = ["Change", "Landed", "Proposal", "changed_files", "land", "read_proposal", "writable_ref"]

_LONGEST_LINE = 16 * 1024**2
_LARGEST_REGULAR = 10 * 1024**2
_MOST_CHANGES = 25_000


@dataclasses.dataclass(frozen=True)
class Change:
    """One line of a commit.

    Attributes:
        path: What it is about.
        blob: The file's new blob in git; None removes it.
        is_folder: Whether a folder is removed.
        pointer: For a large file, where its bytes are.
    """

    path: str
    blob: Optional[str] = None
    is_folder: bool = False
    pointer: Optional[Pointer] = None


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A commit as the client sent it, with its files in git already (but in no tree yet)."""

    summary: str
    description: str
    parent: Optional[str]
    changes: tuple[Change, ...]

    @property
    def message(self) -> str:
        """The commit's message."""
        return f"{self.summary}\n\n{self.description}" if self.description else self.summary


@dataclasses.dataclass(frozen=True)
class Landed:
    """What became of a commit: its id (the present one, when it changes nothing)."""

    commit: str
    ref: str


def read_proposal(body: Path, git: GitSession, repo: Repo, blobs: BlobStore) -> Proposal:
    """Read the lines and write their files into git, one at a time.

    Raises:
        HubError: A line makes no sense; git then holds blobs that nothing refers to.
    """
    lines = _lines(body)
    header = next(lines, None)
    if header is None or header[0] != "header":
        raise bad_request("The first line of a commit has to be its header.", code="InvalidCommit")
    summary, parent = header[1].get("summary"), header[1].get("parentCommit")
    description = header[1].get("description") or ""
    if not isinstance(summary, str) or not summary.strip() or not isinstance(description, str):
        raise bad_request("A commit needs a summary.", code="InvalidCommit")
    if parent is not None and not isinstance(parent, str):
        raise bad_request("parentCommit has to be a commit id.", code="InvalidCommit")
    changes: list[Change] = []
    for key, value in lines:
        if len(changes) >= _MOST_CHANGES:
            raise payload_too_large(f"A commit has at most {_MOST_CHANGES} changes.")
        changes.append(_change(key, value, git, repo, blobs))
    return Proposal(summary, description, parent, tuple(changes))


def _lines(body: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with body.open("rb") as file:
        while True:
            line = file.readline(_LONGEST_LINE + 1)
            if not line:
                return
            if len(line) > _LONGEST_LINE:
                raise payload_too_large(f"A line of a commit has at most {_LONGEST_LINE} bytes.")
            if not line.strip():
                continue
            try:
                item = json.loads(line)
            except (ValueError, RecursionError):
                raise bad_request("A line is not valid JSON.", code="InvalidNDJSON") from None
            value = item.get("value") if isinstance(item, dict) else None
            if not isinstance(value, dict) or not isinstance(item.get("key"), str):
                raise bad_request("A line needs a key and a value.", code="InvalidNDJSON")
            yield item["key"], value


def _change(
    key: str, value: dict[str, Any], git: GitSession, repo: Repo, blobs: BlobStore
) -> Change:
    if key in ("deletedFile", "deletedFolder"):
        path = value.get("path")
        if key == "deletedFolder" and path in (".", "", "/"):
            return Change("", is_folder=True)
        if isinstance(path, str) and key == "deletedFolder":
            path = path.rstrip("/")
        return Change(check_path(path), is_folder=key == "deletedFolder")
    path = check_path(value.get("path"))
    if key == "file":
        return Change(path, git.add_blob(_content(path, value)))
    if key == "lfsFile":
        pointer = _pointer(path, value, repo, blobs)
        return Change(path, git.add_blob(pointer_text(pointer)), pointer=pointer)
    raise bad_request(f"A line has an unknown key: {key!r}.", code="InvalidCommit")


def _content(path: str, value: dict[str, Any]) -> bytes:
    content, encoding = value.get("content"), value.get("encoding", "utf-8")
    if not isinstance(content, str) or encoding not in ("base64", "utf-8"):
        raise bad_request(f"The content of {path} is missing.", code="InvalidCommit")
    try:
        if encoding == "base64":
            data = base64.b64decode(content, validate=True)
        else:
            data = content.encode("utf-8")
    except (binascii.Error, ValueError):
        raise bad_request(f"The content of {path} is damaged.", code="InvalidCommit") from None
    if len(data) > _LARGEST_REGULAR:
        raise bad_request(
            "Your push was rejected because it contains files larger than 10 MiB. Please use"
            f" git-lfs to store large files. Offending file: {path}",
            code="FileTooLarge",
        )
    return data


def _pointer(path: str, value: dict[str, Any], repo: Repo, blobs: BlobStore) -> Pointer:
    oid, size = value.get("oid"), value.get("size")
    if value.get("algo", "sha256") != "sha256" or not isinstance(oid, str) or not is_sha256(oid):
        raise bad_request(f"The digest of {path} is not a sha256.", code="InvalidCommit")
    if not repo.lfs.holds(oid) or not blobs.has(oid):
        raise bad_request(
            f"The large file {path} ({oid}) was not uploaded to this repository.",
            code="LfsObjectNotFound",
        )
    actual = blobs.size(oid)
    if size is not None and size != actual:
        raise bad_request(f"{path} has {actual} bytes, not {size}.", code="InvalidCommit")
    return Pointer(oid, actual)


def writable_ref(git: GitSession, revision: str) -> tuple[str, str]:
    """Return the full name and the head of the branch or pull request to commit to.

    Raises:
        HubError: 404 with ``RevisionNotFound``: there is none (a tag or a commit id doesn't move).
    """
    names = [f"refs/heads/{revision}"]
    if revision.startswith(("refs/heads/", "refs/pr/")):
        names.insert(0, revision)
    for name in names:
        head = git.ref(name)
        if head is not None:
            return name, head
    raise revision_not_found(revision)


def land(  # what a commit consists of
    git: GitSession, repo: Repo, proposal: Proposal, *, revision: str, author: str, onto: str | None
) -> Landed:
    """Turn a proposal into a commit and move the branch to it. The caller holds the repo's lock.

    Args:
        git: The repository.
        repo: The repository.
        proposal: What was sent.
        revision: The branch to commit to.
        author: Who sent it.
        onto: The reference to create at the new commit instead of moving the branch.

    Raises:
        HubError: 412 when the branch is not where the client believes; 404 when something to
            delete is not there; 400 when a path clashes with another.
    """
    ref, head = writable_ref(git, revision)
    if proposal.parent is not None and not _is_same(proposal.parent, head):
        raise precondition_failed(
            f"A commit has happened since. Please refresh and try again: {revision} is at {head},"
            f" not at {proposal.parent}."
        )
    before = git.commit(head).tree
    tree = _apply(git, before, head, proposal.changes)
    if tree == before and onto is None:
        return Landed(head, ref)  # a client that repeats a commit gets the one that landed
    target = onto or ref
    _record(repo, proposal, target)
    commit = git.add_commit(tree, [head], author, proposal.message)
    if not git.move_ref(target, None if onto else head, commit):
        raise HubError(409, f"{target} has moved meanwhile.", code="Conflict")
    return Landed(commit, target)


def _is_same(parent: str, head: str) -> bool:
    return len(parent) >= 7 and head.startswith(parent)


def _apply(git: GitSession, before: str, head: str, changes: tuple[Change, ...]) -> str:
    tree = WorkTree(git, before)
    try:
        for change in changes:
            if change.blob is not None:
                tree.put(change.path, change.blob)
            elif not change.path:
                tree.clear()
            elif not tree.remove(change.path, is_folder=change.is_folder):
                raise entry_not_found(change.path, commit=head)
    except PathClashError as error:
        raise bad_request(str(error), code="InvalidPath") from error
    return tree.write()


def _record(repo: Repo, proposal: Proposal, ref: str) -> None:
    """Note the large files before the branch moves: a kill in between leaves nothing uncounted."""
    for change in proposal.changes:
        if change.pointer is None:
            continue
        record = repo.lfs.get(change.pointer.sha256)
        if record is not None and not record.path:
            repo.lfs.put(
                dataclasses.replace(
                    record,
                    path=change.path,
                    ref=ref,
                    pushed_at=time.time(),
                    oid=change.blob or "",
                )
            )


def changed_files(git: GitSession, old: str, new: str) -> dict[str, tuple[str | None, str | None]]:
    """Return the paths that differ between two trees, with their blobs before and after."""
    before = {entry.name: entry.sha for entry in git.files(old)}
    after = {entry.name: entry.sha for entry in git.files(new)}
    paths = before.keys() | after.keys()
    return {
        path: (before.get(path), after.get(path))
        for path in sorted(paths)
        if before.get(path) != after.get(path)
    }
