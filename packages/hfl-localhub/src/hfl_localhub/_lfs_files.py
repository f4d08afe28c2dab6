"""Which large files a repository holds, and how to be rid of them for good."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hfl_localhub._access import check_content, check_repo
from hfl_localhub._call import Call, answer
from hfl_localhub._entries import isoformat
from hfl_localhub._errors import bad_request
from hfl_localhub._lfs_index import LfsRecord
from hfl_localhub._reclaim import collect_garbage
from hfl_localhub._rewrite import without_blobs
from hfl_localhub._routing import Router
from hfl_localhub._store import is_sha256

__all__ = ["add_routes"]

_PAGE = 1000
_MOST = 10_000


def add_routes(router: Router) -> None:
    """Add this module's routes."""
    router.add("GET", "/api/{T}/{ns}/{name}/lfs-files", lfs_files)
    router.add("POST", "/api/{T}/{ns}/{name}/lfs-files/batch", delete_for_good, "large")
    router.add("POST", "/api/{T}/{ns}/{name}/lfs-files/duplicate", duplicate, "large")


def lfs_files(call: Call) -> Response:
    """List the large files, newest first, whether or not a commit still refers to them."""
    repo = call.repo("write")
    records = repo.lfs.committed()
    start = call.position("cursor")
    size = call.limit(_PAGE, _PAGE)
    headers = {}
    if start + size < len(records):
        headers = call.next_page(cursor=str(start + size))
    return answer([_shown(record) for record in records[start : start + size]], headers=headers)


def _shown(record: LfsRecord) -> dict[str, Any]:
    return {
        "fileOid": record.sha256,
        "filename": record.path,
        "oid": record.oid,
        "pushedAt": isoformat(record.pushed_at),
        "ref": record.ref,
        "size": record.size,
    }


def delete_for_good(call: Call) -> Response:
    """Delete large files: from the history too, unless told otherwise, and from the disk."""
    repo = call.repo("write")
    deletions = call.json.get("deletions")
    if not isinstance(deletions, dict) or not isinstance(deletions.get("sha"), list):
        raise bad_request("deletions.sha has to be a list of sha256 digests.")
    digests = {_digest(item) for item in deletions["sha"]}
    if len(digests) > _MOST:
        raise bad_request(f"At most {_MOST} files can be deleted at once.")
    with repo.git.alone() as git, repo.changing():
        if deletions.get("rewriteHistory"):
            without_blobs(git, digests)
            collect_garbage(repo, git)
        for sha256 in digests:
            repo.lfs.remove(sha256)
    call.hub.release(digests)
    return answer({})


def _digest(item: object) -> str:
    if not isinstance(item, str) or not is_sha256(item):
        raise bad_request(f"{item!r} is not a sha256 digest.")
    return item


def duplicate(call: Call) -> Response:
    """Let another repository hold large files of this one, so that a commit there can name them."""
    source = call.repo("read", content=True)
    target_name, files = call.json.get("target"), call.json.get("files")
    if not isinstance(target_name, dict) or not isinstance(files, list):
        raise bad_request("target and files are needed.")
    namespace, _, name = str(target_name.get("name")).partition("/")
    key = (str(target_name.get("type") or "model"), namespace, name)
    found = call.hub.repos.get(call.hub.repos.redirect(key) or key)
    target = check_repo(found, call.signed_in(), "contribute")
    check_content(source, call.identity)
    succeeded: list[dict[str, str]] = []
    failed: list[dict[str, str]] = []
    for item in files:
        sha256 = _digest(item.get("sha256") if isinstance(item, dict) else None)
        with call.hub.blobs.lock:
            if not source.lfs.holds(sha256) or not call.hub.blobs.has(sha256):
                failed.append({"sha256": sha256, "error": "The source does not have this file."})
                continue
            call.hub.context.record_upload(target.type, target.id, sha256)
        succeeded.append({"sha256": sha256})
    return answer({"succeeded": succeeded, "failed": failed})
