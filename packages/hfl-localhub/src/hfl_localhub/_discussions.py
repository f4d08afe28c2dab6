"""Discussions and pull requests: one file each."""

from __future__ import annotations

import secrets
import time
from typing import Any

from hfl_localhub._durable import read_json, write_json
from hfl_localhub._entries import isoformat
from hfl_localhub._git import GitSession
from hfl_localhub._repos import Repo

__all__ = [
    "add_event",
    "comment_data",
    "every",
    "load",
    "moment",
    "next_number",
    "open_discussion",
    "open_pull_request",
    "save",
]


def next_number(repo: Repo, git: GitSession) -> int:
    """Return the next free number. The caller holds the repository's lock."""
    taken = [found["num"] for found in every(repo)]
    taken += [
        int(ref[8:]) for ref in git.refs() if ref.startswith("refs/pr/") and ref[8:].isdigit()
    ]
    return max(taken, default=0) + 1


def open_discussion(number: int, title: str, text: str, *, author: str) -> dict[str, Any]:
    """Return a new discussion."""
    now = isoformat(time.time())
    discussion: dict[str, Any] = {
        "num": number,
        "title": title,
        "status": "open",
        "author": {"name": author},
        "isPullRequest": False,
        "createdAt": now,
        "pinned": False,
        "locked": False,
        "events": [],
    }
    add_event(discussion, "comment", author, comment_data(text))
    return discussion


def open_pull_request(
    number: int, title: str, text: str, *, author: str, base: str, status: str = "open"
) -> dict[str, Any]:
    """Return a new pull request onto a branch."""
    request = open_discussion(number, title, text, author=author)
    request["isPullRequest"] = True
    request["status"] = status
    request["changes"] = {"base": f"refs/heads/{base}", "mergeCommitId": None}
    return request


def add_event(
    discussion: dict[str, Any], kind: str, author: str, data: dict[str, Any]
) -> dict[str, Any]:
    """Append an event and return it."""
    event: dict[str, Any] = {
        "id": secrets.token_hex(12),
        "type": kind,
        "createdAt": isoformat(time.time()),
        "author": {"name": author},
        "data": data,
    }
    discussion["events"].append(event)
    return event


def comment_data(text: str) -> dict[str, Any]:
    """Return a comment's data."""
    return {
        "edited": False,
        "hidden": False,
        "latest": {"raw": text, "html": "", "updatedAt": isoformat(time.time())},
        "numEdits": 0,
        "history": [],
    }


def moment(seconds: float) -> str:
    """Return a time as events have it."""
    return isoformat(seconds)


def load(repo: Repo, number: int) -> dict[str, Any] | None:
    """Read a discussion."""
    found: dict[str, Any] | None = read_json(repo.path / "discussions" / f"{number}.json")
    return found


def save(repo: Repo, discussion: dict[str, Any]) -> None:
    """Write a discussion as one step."""
    folder = repo.path / "discussions"
    folder.mkdir(exist_ok=True)
    write_json(folder / f"{discussion['num']}.json", discussion)


def every(repo: Repo) -> list[dict[str, Any]]:
    """Return all discussions, newest first."""
    numbers = sorted(
        (int(path.stem) for path in (repo.path / "discussions").glob("[0-9]*.json")), reverse=True
    )
    found = (load(repo, number) for number in numbers)
    return [discussion for discussion in found if discussion is not None]
