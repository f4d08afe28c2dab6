"""One repository's page, and lists of them."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hfl_localhub._access import is_visible
from hfl_localhub._call import Call, answer
from hfl_localhub._entries import isoformat
from hfl_localhub._errors import bad_request
from hfl_localhub._info import Summary, describe_repo, siblings, summary
from hfl_localhub._repos import Repo
from hfl_localhub._routing import Router
from hfl_localhub._storage import storage_of_repo

__all__ = ["add_routes"]

_PAGE = 1000
_ALWAYS = ("_id", "id", "sha", "private")
_SORTS = {
    "lastModified": "modified",
    "last_modified": "modified",
    "createdAt": "created",
    "created_at": "created",
    "downloads": "downloads",
    "likes": "likes",
    "trendingScore": "trending",
    "trending_score": "trending",
    "author": "author",
    "_id": "id",
}


def add_routes(router: Router) -> None:
    """Add this module's routes."""
    router.add("GET", "/api/{T}", listing)
    router.add("GET", "/api/{T}/{ns}/{name}", info)
    router.add("GET", "/api/{T}/{ns}/{name}/revision/{rev}", info)
    router.add("GET", "/api/settings/repositories", own_repositories)
    router.add("GET", "/api/organizations/{org}/settings/repositories", own_repositories)


def info(call: Call) -> Response:
    """Describe one repository at a revision."""
    repo = call.repo()
    wanted = _expanded(call)
    with repo.git.open() as git:
        commit = call.revision(git)
        shown = describe_repo(repo, summary(git, commit))
        if not wanted or "siblings" in wanted:
            shown["siblings"] = siblings(repo, git, commit, with_blobs=call.flag("blobs"))
    if not wanted or "usedStorage" in wanted:
        shown["usedStorage"] = storage_of_repo(repo, call.hub.blobs)
    if call.flag("securityStatus"):
        shown["securityRepoStatus"] = {"scansDone": False, "filesWithIssues": []}
    if wanted:
        shown = {name: value for name, value in shown.items() if name in (*wanted, *_ALWAYS)}
    return answer(shown, headers={"X-Repo-Commit": commit})


def listing(call: Call) -> Response:
    """List repositories: filtered, sorted, page by page."""
    repo_type = call.params["T"][:-1]
    found = [
        (repo, state)
        for repo, state in _all(call, repo_type)
        if is_visible(repo, call.identity) and _is_wanted(call, repo, state)
    ]
    sort = call.one("sort") or "trendingScore"
    if sort not in _SORTS:
        raise bad_request(f"sort has to be one of {', '.join(sorted(_SORTS))}, not {sort!r}.")
    found.sort(key=lambda pair: pair[0].id)
    is_ascending = call.one("direction") == "1" or (sort == "author" and not call.one("direction"))
    found.sort(key=lambda pair: _rank(_SORTS[sort], *pair), reverse=not is_ascending)
    size = call.limit(_PAGE, _PAGE)
    start = call.position("cursor")
    page = found[start : start + size]
    headers = {}
    if start + size < len(found):
        headers = call.next_page(cursor=str(start + size))
    return answer([_listed(call, repo, state) for repo, state in page], headers=headers)


def _rank(by: str, repo: Repo, state: Summary) -> Any:
    """Return what a repository is sorted by."""
    ranks: dict[str, Any] = {
        "modified": state.time,
        "created": repo.settings.created_at,
        "downloads": repo.downloads,
        "likes": len(repo.settings.likes),
        "trending": 0,
        "author": repo.namespace,
        "id": repo.id,
    }
    return ranks[by]


def own_repositories(call: Call) -> Response:
    """List the repositories and buckets of the user or an organization, with their storage."""
    identity = call.signed_in()
    namespace = call.params.get("org") or identity.name
    shown: list[dict[str, Any]] = [
        {
            "id": repo.id,
            "type": repo.type,
            "updatedAt": _updated(repo),
            "visibility": repo.settings.visibility,
            "storage": storage_of_repo(repo, call.hub.blobs),
        }
        for repo in sorted(call.hub.repos, key=lambda repo: repo.id)
        if repo.namespace == namespace and is_visible(repo, identity)
    ]
    shown += call.hub.buckets.storage(identity, namespace)
    total = sum(item["storage"] for item in shown)
    for item in shown:
        item["storagePercent"] = 100 * item["storage"] / total if total else 0
    return answer(shown)


def _updated(repo: Repo) -> str:
    with repo.git.open() as git:
        return isoformat(git.commit(git.resolve("main") or "").time)


def _all(call: Call, repo_type: str) -> list[tuple[Repo, Summary]]:
    found = []
    for repo in call.hub.repos:
        if repo.type != repo_type:
            continue
        try:
            with repo.git.open() as git:
                found.append((repo, summary(git, git.resolve("main") or "")))
        except (KeyError, FileNotFoundError):  # deleted or moved while we look
            continue
    return found


def _is_wanted(call: Call, repo: Repo, state: Summary) -> bool:
    author, search, gated = call.one("author"), call.one("search"), call.one("gated")
    if author and repo.namespace.lower() != author.lower():
        return False
    if search and search.lower() not in repo.id.lower():
        return False
    if gated is not None and (gated.lower() == "true") != bool(repo.settings.gated):
        return False
    names = ("filter", "tags", "library", "pipeline_tag", "task", "language", "license")
    wanted = [value for name in names for value in call.query.get(name, [])]
    tags = {tag.lower() for tag in state.tags} | {repo.type}
    terms = [term.strip() for value in wanted for term in value.split(",")]
    return all(term.lower() in tags for term in terms if term)


def _listed(call: Call, repo: Repo, state: Summary) -> dict[str, Any]:
    shown = describe_repo(repo, state)
    wanted = _expanded(call)
    if wanted:
        return {name: value for name, value in shown.items() if name in (*wanted, *_ALWAYS)}
    if not (call.flag("full") or call.flag("cardData")):
        shown.pop("cardData")
    if not (call.flag("full") or call.flag("config")):
        shown.pop("config", None)
    if call.flag("full"):
        with repo.git.open() as git:
            shown["siblings"] = siblings(repo, git, state.commit, with_blobs=False)
    return shown


def _expanded(call: Call) -> list[str]:
    return [name for value in call.query.get("expand", []) for name in value.split(",") if name]
