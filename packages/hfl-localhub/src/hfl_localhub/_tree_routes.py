"""What is in a repository at a revision: folders, and chosen paths."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response

from hfl_localhub._call import Call, answer
from hfl_localhub._entries import describe, isoformat, last_commits
from hfl_localhub._errors import bad_request, entry_not_found
from hfl_localhub._git import Entry, GitSession
from hfl_localhub._repos import Repo
from hfl_localhub._routing import Router

__all__ = ["add_routes"]

_PAGE = 1000
_EXPANDED_PAGE = 50


def add_routes(router: Router) -> None:
    """Add this module's routes."""
    router.add("GET", "/api/{T}/{ns}/{name}/tree/{rev}", tree)
    router.add("GET", "/api/{T}/{ns}/{name}/tree/{rev}/", tree)
    router.add("GET", "/api/{T}/{ns}/{name}/tree/{rev}/{path*}", tree)
    router.add("POST", "/api/{T}/{ns}/{name}/paths-info/{rev}", paths_info, "large")


def tree(call: Call) -> Response:
    """List a folder, page by page. All pages show the commit that the first one showed."""
    repo = call.repo()
    path = call.params.get("path", "").strip("/")
    expand = call.flag("expand")
    page = call.limit(_EXPANDED_PAGE if expand else _PAGE, _PAGE)
    with repo.git.open() as git:
        revision, offset = _cursor(call)
        commit = call.revision(git, revision)
        folder = git.find(git.commit(commit).tree, path)
        if folder is None or not folder.is_folder:
            raise entry_not_found(path, commit=commit)
        entries = list(git.walk(folder.sha, path, recursive=call.flag("recursive")))
        shown = _shown(call, repo, git, commit, entries[offset : offset + page], expand=expand)
    headers = {"X-Repo-Commit": commit}
    if offset + page < len(entries):
        headers.update(call.next_page(cursor=_as_cursor(commit, offset + page)))
    return answer(shown, headers=headers)


def paths_info(call: Call) -> Response:
    """Describe chosen paths; what doesn't exist is left out."""
    repo = call.repo()
    paths, expand = _asked_for(call)
    with repo.git.open() as git:
        commit = call.revision(git)
        root = git.commit(commit).tree
        found = [git.find(root, path.strip("/")) for path in paths]
        entries = [entry for entry in found if entry is not None and entry.name]
        return answer(_shown(call, repo, git, commit, entries, expand=expand))


def _shown(
    call: Call, repo: Repo, git: GitSession, commit: str, entries: list[Entry], *, expand: bool
) -> list[dict[str, Any]]:
    shown = [describe(git, entry, repo.lfs, call.hub.context.xet_hash) for entry in entries]
    if expand:
        commits = last_commits(git, commit, {entry.name for entry in entries})
        for item in shown:
            last = commits[item["path"]]
            item["lastCommit"] = {
                "id": last.id,
                "title": last.title,
                "date": isoformat(last.time),
            }
    return shown


def _asked_for(call: Call) -> tuple[list[str], bool]:
    """Read the paths from a form (the Python clients) or from JSON."""
    kind = call.request.headers.get("content-type", "").split(";")[0].strip()
    if kind == "application/json":
        try:
            body = json.loads(call.body or b"{}")
        except ValueError:
            raise bad_request("The body is not valid JSON.", code="InvalidJSON") from None
        paths = body.get("paths", []) if isinstance(body, dict) else None
        expand = bool(body.get("expand")) if isinstance(body, dict) else False
    else:
        try:
            form = parse_qs(call.body.decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError:
            raise bad_request("The body is not a valid form.") from None
        paths = form.get("paths", [])
        expand = form.get("expand", [""])[-1].lower() in ("1", "true")
    if isinstance(paths, str):
        paths = [paths]
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise bad_request("paths has to be a list of strings.")
    return paths, expand


def _as_cursor(commit: str, offset: int) -> str:
    return base64.urlsafe_b64encode(f"{commit}:{offset}".encode()).decode()


def _cursor(call: Call) -> tuple[str | None, int]:
    text = call.one("cursor")
    if text is None:
        return None, 0
    try:
        commit, _, offset = base64.urlsafe_b64decode(text).decode("ascii").partition(":")
        return commit, max(0, int(offset))
    except (binascii.Error, ValueError):
        raise bad_request("Invalid cursor.") from None
