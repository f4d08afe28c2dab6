"""One atomic commit: its lines, the request, and the question whether it landed."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, NamedTuple, Sequence, Union

from hfl_core.errors import ConflictError, NetworkError
from hfl_repo._transfer._body import Body
from hfl_repo._transfer._plan import Plan
from hfl_repo._transfer._remote import list_tree
from hfl_repo._transfer._scan import LocalFile

if TYPE_CHECKING:
    from hfl_repo._hub import Hub
    from hfl_repo._target import Target

__all__ = ["Landed", "commit_body", "find_landed", "find_landed_proposal", "send_commit"]

_SLOW = 300.0  # the Hub checks every large file of a commit before it answers
_PIECE = 3 << 18  # a multiple of three, so that pieces of base64 can be joined
_NEWEST_PROPOSALS = 5


@dataclasses.dataclass(frozen=True)
class Landed:
    """A commit that is on the Hub.

    Attributes:
        oid: The commit.
        pull_request: The page of the pull request that was opened for it, if one was.
    """

    oid: str
    pull_request: str | None = None


class _Content(NamedTuple):
    file: LocalFile
    git_sha1: str


Segment = Union[bytes, _Content]


def commit_body(
    plan: Plan,
    large: Mapping[str, str],
    *,
    message: str,
    description: str,
    parent: str,
    sent: Callable[[int], None],
) -> Body:
    """Write the lines of a commit; small files are read when it is sent.

    Args:
        plan: What has to change.
        large: The sha256 of what travels as a large file, by path.
        message: The first line of its message.
        description: The rest.
        parent: The commit that it stands on.
        sent: Told how many bytes of files went out.

    Returns:
        The body.
    """
    header = {"summary": message, "description": description, "parentCommit": parent}
    segments: list[Segment] = [_line("header", header)]
    for change in plan.changes:
        if change.kind == "delete":
            segments.append(_line("deletedFile", {"path": change.path}))
        elif change.path in large:
            value = {"path": change.path, "algo": "sha256", "oid": large[change.path]}
            segments.append(_line("lfsFile", {**value, "size": change.size}))
        else:
            segments += _regular(plan, change.path)
    size = sum(len(item) if isinstance(item, bytes) else _encoded(item) for item in segments)
    return Body(size, lambda: _pieces(segments, sent))


def send_commit(
    hub: Hub, target: Target, body: Body, *, create_pr: bool, timeout: float | None
) -> Landed:
    """Send a commit, once.

    Args:
        hub: The Hub.
        target: The repository with the branch.
        body: The commit.
        create_pr: Whether it opens a pull request.
        timeout: Seconds that the Hub may be silent, if less than usual.

    Returns:
        The commit.

    Raises:
        HeadMovedError: The branch is not at its parent.
        HflError: Whatever else went wrong. After a `NetworkError`, nobody knows whether it landed.
    """
    usual = max(_SLOW, hub.timeout)
    answer = hub.send_once(
        "POST",
        target.api("commit", target.revision or "main"),
        target,
        params={"create_pr": "1"} if create_pr else None,
        content=body,
        headers={"Content-Type": "application/x-ndjson", **body.headers},
        timeout=usual if timeout is None else min(usual, timeout),
    ).json()
    oid = answer.get("commitOid") if isinstance(answer, dict) else None
    if not isinstance(oid, str):
        raise NetworkError(f"{hub.endpoint} does not say which commit it made.")
    return Landed(oid, answer.get("pullRequestUrl"))


def find_landed(hub: Hub, target: Target, plan: Plan, *, base: str, message: str) -> Landed | None:
    """Look whether a commit landed of which no answer came back.

    Args:
        hub: The Hub.
        target: The repository with the branch.
        plan: What the commit was to change.
        base: The commit that it stands on.
        message: The first line of its message.

    Returns:
        The commit, or None when it is not there.
    """
    newer: list[str] = []
    for item in hub.pages(target.api("commits", target.revision or "main"), target):
        if item.get("id") == base:
            break
        if item.get("title") == message.strip():
            newer.append(str(item["id"]))
    for oid in reversed(newer):
        if plan.is_done_in(list_tree(hub, target.at(oid))):
            return Landed(oid)
    return None


def find_landed_proposal(
    hub: Hub, target: Target, plan: Plan, *, base: str, message: str
) -> Landed | None:
    """Look whether a pull request was opened of which no answer came back; see `find_landed`."""
    refs = hub.get(target.api("refs"), target, params={"include_prs": "1"})
    found: list[Any] = [item for item in refs.get("pullRequests") or () if isinstance(item, dict)]
    names = sorted((str(item.get("ref") or item.get("name")) for item in found), key=_number)
    prefix = "" if target.repo_type == "model" else f"{target.repo_type}s/"
    for name in names[-_NEWEST_PROPOSALS:]:
        landed = find_landed(hub, target.at(name), plan, base=base, message=message)
        if landed is not None:
            url = f"{hub.endpoint}/{prefix}{target.repo_id}/discussions/{_number(name)}"
            return Landed(landed.oid, url)
    return None


def _number(name: str) -> int:
    last = name.rpartition("/")[2]
    return int(last) if last.isdigit() else 0


def _line(key: str, value: Mapping[str, Any]) -> bytes:
    return json.dumps({"key": key, "value": value}).encode() + b"\n"


def _regular(plan: Plan, path: str) -> Sequence[Segment]:
    # The content's place is between two halves of the line, so that it is never held as a whole.
    marked = _line("file", {"path": path, "encoding": "base64", "content": ""})
    end = b'"}}\n'
    name = plan.digests[path].git_sha1
    return (marked[: -len(end)], _Content(plan.files[path], name or ""), end)


def _encoded(content: _Content) -> int:
    return 4 * -(-content.file.size // 3)


def _pieces(segments: Sequence[Segment], sent: Callable[[int], None]) -> Iterator[bytes]:
    for segment in segments:
        if isinstance(segment, bytes):
            yield segment
        else:
            yield from _base64(segment, sent)


def _base64(content: _Content, sent: Callable[[int], None]) -> Iterator[bytes]:
    file, read = content.file, 0
    digest = hashlib.sha1(b"blob %d\0" % file.size)  # nosec B324  # noqa: S324  # git's name for it
    with file.source.open("rb") as opened:
        while True:
            piece = opened.read(_PIECE)
            if not piece:
                break
            digest.update(piece)
            read += len(piece)
            is_whole = read < file.size or digest.hexdigest() == content.git_sha1
            if not is_whole or read > file.size:
                break
            yield base64.b64encode(piece)
            sent(len(piece))
    if file.size and (read != file.size or digest.hexdigest() != content.git_sha1):
        raise ConflictError(
            f"{file.path!r} was changed while it was uploaded; no commit was made.",
            hint="Upload again once nothing writes to it any more.",
        )
