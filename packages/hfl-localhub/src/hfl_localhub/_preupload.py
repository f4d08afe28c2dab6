"""What the client asks before an upload: how each file travels, and what is there already."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hfl_localhub._attributes import LfsRules
from hfl_localhub._call import Call, answer
from hfl_localhub._entries import file_facts
from hfl_localhub._errors import bad_request
from hfl_localhub._git import GitSession
from hfl_localhub._lfs_index import LfsIndex
from hfl_localhub._paths import check_path
from hfl_localhub._routing import Router

__all__ = ["add_routes"]

_MOST_FILES = 1000


def add_routes(router: Router) -> None:
    """Add this module's routes."""
    router.add("POST", "/api/{T}/{ns}/{name}/preupload/{rev}", preupload, "large")


def preupload(call: Call) -> Response:
    """Decide for each file: ``lfs`` or ``regular``, ignored or not, and its present digest."""
    repo = call.repo("contribute" if call.flag("create_pr") else "write")
    files = call.json.get("files")
    if not isinstance(files, list) or len(files) > _MOST_FILES:
        raise bad_request(f"files has to be a list of at most {_MOST_FILES} files.")
    asked = [_file(item) for item in files]
    ignored = _ignored(call)
    with repo.git.open() as git:
        root = git.commit(call.revision(git)).tree
        rules = _rules(git, root)
        limit = call.hub.options.regular_limit
        shown: list[dict[str, Any]] = []
        for path, size in asked:
            is_lfs = rules.match(path) or size > limit
            item: dict[str, Any] = {
                "path": path,
                "uploadMode": "lfs" if is_lfs else "regular",
                "shouldIgnore": ignored(path),
            }
            oid = _present_oid(git, root, path, repo.lfs)
            if oid is not None:
                item["oid"] = oid
            shown.append(item)
        return answer({"files": shown})


def _file(item: object) -> tuple[str, int]:
    if not isinstance(item, dict):
        raise bad_request("Each file has to be an object with path, sample and size.")
    size = item.get("size", 0)
    if not isinstance(size, int) or size < 0:
        raise bad_request("A file's size has to be a number of bytes.")
    return check_path(item.get("path")), size


def _rules(git: GitSession, root: str) -> LfsRules:
    entry = git.find(root, ".gitattributes")
    if entry is None or entry.is_folder:
        return LfsRules("")
    return LfsRules(git.blob(entry.sha).decode("utf-8", "replace"))


def _present_oid(git: GitSession, root: str, path: str, lfs: LfsIndex) -> str | None:
    entry = git.find(root, path)
    if entry is None or entry.is_folder:
        return None
    pointer = file_facts(git, entry.sha, lfs).pointer
    return pointer.sha256 if pointer is not None else entry.sha


def _ignored(call: Call) -> Any:
    text = call.json.get("gitIgnore")
    if not isinstance(text, str) or not text:
        return lambda _: False
    from dulwich.ignore import IgnoreFilter

    patterns = [line for line in text.encode("utf-8", "replace").splitlines() if line.strip()]
    rules = IgnoreFilter([line for line in patterns if not line.startswith(b"#")])
    return lambda path: bool(rules.is_ignored(path))
