"""Branches, tags and history."""

from __future__ import annotations

import itertools
from typing import Any

from starlette.responses import Response

from hfl_localhub._call import Call, answer
from hfl_localhub._entries import isoformat
from hfl_localhub._errors import HubError, bad_request, conflict, revision_not_found
from hfl_localhub._git import Commit, GitSession, is_valid_ref
from hfl_localhub._reclaim import collect_garbage
from hfl_localhub._routing import Router

__all__ = ["add_routes"]

_PAGE = 50
_MOST = 1000


def add_routes(router: Router) -> None:
    """Add this module's routes."""
    router.add("GET", "/api/{T}/{ns}/{name}/refs", refs)
    router.add("GET", "/api/{T}/{ns}/{name}/commits/{rev}", commits)
    router.add("POST", "/api/{T}/{ns}/{name}/branch/{rev}", create_branch, "small")
    router.add("DELETE", "/api/{T}/{ns}/{name}/branch/{rev}", delete_branch)
    router.add("POST", "/api/{T}/{ns}/{name}/tag/{rev}", create_tag, "small")
    router.add("DELETE", "/api/{T}/{ns}/{name}/tag/{rev}", delete_tag)
    router.add("POST", "/api/{T}/{ns}/{name}/super-squash/{rev}", super_squash, "small")


def refs(call: Call) -> Response:
    """List branches, tags and (when asked) pull requests."""
    repo = call.repo()
    shown: dict[str, list[dict[str, Any]]] = {"branches": [], "converts": [], "tags": []}
    kinds = {"refs/heads/": "branches", "refs/tags/": "tags", "refs/convert/": "converts"}
    if call.flag("include_prs"):
        kinds["refs/pr/"] = "pullRequests"
        shown["pullRequests"] = []
    with repo.git.open() as git:
        for ref, sha in sorted(git.refs().items()):
            for prefix, kind in kinds.items():
                if ref.startswith(prefix):
                    name = ref[len(prefix) :]
                    item = {"name": name, "ref": ref, "targetCommit": git.peel(sha)}
                    shown[kind].append(item)
    return answer(shown)


def commits(call: Call) -> Response:
    """List the history of a revision, newest first."""
    repo = call.repo()
    page = call.position("p")
    size = call.limit(_PAGE, _MOST)
    is_formatted = "formatted" in call.query.get("expand", [])
    with repo.git.open() as git:
        history = git.history(call.revision(git))
        found = list(itertools.islice(history, page * size, (page + 1) * size + 1))
    headers = call.next_page(p=str(page + 1)) if len(found) > size else {}
    shown = [_commit(commit, is_formatted=is_formatted) for commit in found[:size]]
    return answer(shown, headers=headers)


def _commit(commit: Commit, *, is_formatted: bool) -> dict[str, Any]:
    title, _, message = commit.message.partition("\n")
    shown: dict[str, Any] = {
        "id": commit.id,
        "title": title,
        "message": message.strip("\n"),
        "authors": [{"user": commit.author, "avatar": ""}],
        "date": isoformat(commit.time),
    }
    if is_formatted:
        shown["formatted"] = {"title": title, "message": message.strip("\n")}
    return shown


def create_branch(call: Call) -> Response:
    """Create a branch, at another revision or at ``main``."""
    repo = call.repo("write")
    name = call.params["rev"]
    ref = _new_ref("refs/heads/", name)
    with repo.git.open() as git, repo.changing():
        if git.ref(ref) is not None:
            raise conflict(f"Reference already exists: {name}")
        if call.json.get("emptyBranch"):
            tree = git.add_tree(())
            start = git.add_commit(tree, [], call.signed_in().name, "initial commit")
        else:
            start = call.revision(git, call.text("startingPoint", "main"))
        _create(git, ref, start)
    return answer({})


def delete_branch(call: Call) -> Response:
    """Delete a branch other than ``main``."""
    repo = call.repo("write")
    name = call.params["rev"]
    with repo.git.open() as git, repo.changing():
        ref = f"refs/heads/{name}"
        if not is_valid_ref(ref) or git.ref(ref) is None:
            raise revision_not_found(name)
        if name == "main":
            raise HubError(403, "The default branch can't be deleted.", code="Forbidden")
        git.remove_ref(ref)
    return answer({})


def create_tag(call: Call) -> Response:
    """Tag a revision; with a message the tag is an object of its own."""
    repo = call.repo("write")
    name, message = call.text("tag"), call.text("message", "")
    ref = _new_ref("refs/tags/", name)
    with repo.git.open() as git, repo.changing():
        commit = call.revision(git)
        if git.ref(ref) is not None:
            raise conflict(f"Tag already exists: {name}")
        author = call.signed_in().name
        target = git.add_tag(name, commit, author, message) if message else commit
        _create(git, ref, target)
    return answer({})


def delete_tag(call: Call) -> Response:
    """Delete a tag."""
    repo = call.repo("write")
    name = call.params["rev"]
    with repo.git.open() as git, repo.changing():
        ref = f"refs/tags/{name}"
        if not is_valid_ref(ref) or git.ref(ref) is None:
            raise revision_not_found(name)
        git.remove_ref(ref)
    return answer({})


def super_squash(call: Call) -> Response:
    """Replace a branch's history by one commit of the same files."""
    repo = call.repo("write")
    name = call.params["rev"]
    message = call.text("message", "") or f"Super-squash branch '{name}' using huggingface_hub"
    with repo.git.alone() as git, repo.changing():
        ref = f"refs/heads/{name}"
        head = git.ref(ref) if is_valid_ref(ref) else None
        if head is None:
            raise revision_not_found(name)
        tree = git.commit(head).tree
        commit = git.add_commit(tree, [], call.signed_in().name, message)
        if not git.move_ref(ref, head, commit):
            raise conflict(f"{name} has moved meanwhile.")
        collect_garbage(repo, git)
    return answer({"commitOid": commit})


def _new_ref(prefix: str, name: str) -> str:
    ref = prefix + name
    looks_like_a_commit = len(name) == 40 and all(c in "0123456789abcdef" for c in name)
    if not is_valid_ref(ref) or name.startswith(("-", "refs/")) or name == "HEAD":
        raise bad_request(f"Invalid reference name: {name!r}", code="InvalidReference")
    if looks_like_a_commit or len(ref.encode()) > 240:
        raise bad_request(f"Invalid reference name: {name!r}", code="InvalidReference")
    return ref


def _create(git: GitSession, ref: str, target: str) -> None:
    """Create a reference. Names are also paths: ``a`` and ``a/b`` can't both exist."""
    taken = git.refs()
    parents = ref.split("/")
    above = {"/".join(parents[:count]) for count in range(3, len(parents))}
    if above & taken.keys() or any(other.startswith(f"{ref}/") for other in taken):
        raise conflict(f"{ref} clashes with another reference.")
    if not git.move_ref(ref, None, target):
        raise conflict(f"Reference already exists: {ref}")
