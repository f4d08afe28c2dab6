"""The files themselves, at a revision."""

from __future__ import annotations

from urllib.parse import quote

from starlette.responses import Response

from hfl_localhub._call import Call, quoted
from hfl_localhub._entries import file_facts
from hfl_localhub._errors import entry_not_found
from hfl_localhub._git import Entry, GitSession
from hfl_localhub._ranges import file_response
from hfl_localhub._repos import Repo
from hfl_localhub._routing import Router

__all__ = ["add_routes"]


def add_routes(router: Router) -> None:
    """Add this module's routes."""
    router.add("GET", "/{prefix}{ns}/{name}/resolve/{rev}/{path*}", resolve)
    router.add("GET", "/{prefix}{ns}/{name}/raw/{rev}/{path*}", raw)


def resolve(call: Call) -> Response:
    """Answer with the file's bytes; for large files those that the pointer names."""
    repo = call.repo("read", content=True)
    path = call.params["path"]
    with repo.git.open() as git:
        commit, entry = _entry(call, git, path)
        facts = file_facts(git, entry.sha, repo.lfs)
        headers = _headers(commit, path)
        if facts.pointer is None:
            data = git.blob(entry.sha)
            return file_response(
                call.request, data, etag=entry.sha, size=len(data), headers=headers
            )
    pointer = facts.pointer
    if not repo.lfs.holds(pointer.sha256):  # deleted for good, without rewriting the history
        raise entry_not_found(path, commit=commit)
    headers["X-Linked-Etag"] = f'"{pointer.sha256}"'
    headers["X-Linked-Size"] = str(pointer.size)
    xet_hash = call.hub.context.xet_hash(pointer.sha256)
    if xet_hash is not None:
        _offer_xet(call, repo, commit, xet_hash, headers)
    if call.request.headers.get("x-hf-download-counter") or call.request.method == "GET":
        repo.downloads += 1
    try:
        return file_response(
            call.request,
            call.hub.blobs.path(pointer.sha256),
            etag=pointer.sha256,
            size=pointer.size,
            headers=headers,
        )
    except FileNotFoundError:  # deleted for good meanwhile
        raise entry_not_found(path, commit=commit) from None


def raw(call: Call) -> Response:
    """Answer with what git holds: for large files the pointer."""
    repo = call.repo("read", content=True)
    path = call.params["path"]
    with repo.git.open() as git:
        commit, entry = _entry(call, git, path)
        data = git.blob(entry.sha)
    headers = _headers(commit, path)
    return file_response(call.request, data, etag=entry.sha, size=len(data), headers=headers)


def _entry(call: Call, git: GitSession, path: str) -> tuple[str, Entry]:
    commit = call.revision(git)
    entry = git.find(git.commit(commit).tree, path)
    if entry is None or entry.is_folder:
        raise entry_not_found(path, commit=commit)
    return commit, entry


def _headers(commit: str, path: str) -> dict[str, str]:
    name = quote(path.rsplit("/", 1)[-1], safe="")
    return {
        "X-Repo-Commit": commit,
        "Content-Disposition": f"inline; filename*=UTF-8''{name}",
        "Vary": "Authorization",
    }


def _offer_xet(call: Call, repo: Repo, commit: str, xet_hash: str, headers: dict[str, str]) -> None:
    refresh = call.url(f"/api/{repo.type}s/{repo.id}/xet-read-token/{quoted(commit)}")
    headers["X-Xet-Hash"] = xet_hash
    headers["X-Xet-Refresh-Route"] = refresh.replace(call.hub.endpoint, "", 1)
    headers["Link"] = f'<{refresh}>; rel="xet-auth"'
