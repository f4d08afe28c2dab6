"""Create, delete, move and reconfigure repositories; who am I."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hfl_localhub._access import check_namespace, check_repo
from hfl_localhub._attributes import default_gitattributes
from hfl_localhub._call import Call, answer
from hfl_localhub._errors import HubError, bad_request
from hfl_localhub._paths import check_repo_name
from hfl_localhub._repo_settings import visibility_of
from hfl_localhub._repos import Repo, Settings
from hfl_localhub._routing import Router
from hfl_localhub._worktree import WorkTree

__all__ = ["add_routes"]

_TYPES = ("model", "dataset", "space", "kernel")


def add_routes(router: Router) -> None:
    """Add this module's routes."""
    router.add("GET", "/api/whoami-v2", whoami)
    router.add("POST", "/api/repos/create", create, "small")
    router.add("DELETE", "/api/repos/delete", delete, "small")
    router.add("POST", "/api/repos/move", move, "small")
    router.add("PUT", "/api/{T}/{ns}/{name}/settings", change_settings, "small")
    router.add("GET", "/api/{T}/{ns}/{name}/auth-check", auth_check)
    router.add("GET", "/api/{T}/{ns}/{name}/auth-check/write", auth_check_write)


def whoami(call: Call) -> Response:
    """Say whose token it is."""
    identity = call.signed_in()
    token: dict[str, Any] = {"displayName": identity.token_name, "role": identity.role}
    if identity.role == "fineGrained":
        token["fineGrained"] = {
            "scoped": [
                {"entity": {"name": about}, "permissions": [f"repo.{access}"]}
                for about, access in sorted(identity.scopes)
            ]
        }
    return answer(
        {
            "type": "user",
            "id": identity.name,
            "name": identity.name,
            "fullname": identity.name,
            "isPro": False,
            "canPay": False,
            "orgs": [
                {"type": "org", "name": org, "fullname": org, "roleInOrg": role}
                for org, role in identity.orgs
            ],
            "auth": {"type": "access_token", "accessToken": token},
        }
    )


def create(call: Call) -> Response:
    """Create a repository with its initial commit."""
    identity = call.signed_in()
    repo_type = _type(call)
    namespace = call.json.get("organization") or identity.name
    name = call.json.get("name")
    if isinstance(name, str) and "/" in name:  # old clients put both into the name
        namespace, _, name = name.partition("/")
    key = (repo_type, str(namespace), check_repo_name(name))
    check_namespace(identity, key[1], key[2])
    url = call.url(
        "/" + (key[1] if repo_type == "model" else f"{repo_type}s/{key[1]}") + f"/{key[2]}"
    )
    settings = Settings(visibility=visibility_of(call.json) or "public", sdk=_sdk(call, repo_type))

    def fill(repo: Repo) -> None:
        _initial_commit(repo, identity.name)

    try:
        repo = call.hub.repos.create(key, settings, fill)
    except HubError as error:
        error.body.update(url=url)
        raise
    return answer({"url": url, "name": repo.id, "id": repo.id})


def delete(call: Call) -> Response:
    """Delete a repository, and the blobs that only it held."""
    repo = _named(call, call.json.get("organization"), call.json.get("name"))
    records = list(repo.lfs)
    call.hub.repos.delete(repo)
    call.hub.release(record.sha256 for record in records)
    return Response("OK")


def move(call: Call) -> Response:
    """Give a repository another name, maybe in another namespace."""
    if call.json.get("type") == "bucket":
        call.hub.buckets.move(call.request, call.text("fromRepo"), call.text("toRepo"))
        return Response("OK")
    namespace, _, name = call.text("fromRepo").partition("/")
    repo = _named(call, namespace, name)
    to_namespace, _, to_name = call.text("toRepo").partition("/")
    check_namespace(call.identity, to_namespace, check_repo_name(to_name))
    call.hub.repos.move(repo, (repo.type, to_namespace, to_name))
    return Response("OK")


def change_settings(call: Call) -> Response:
    """Change visibility and gating."""
    repo = call.repo("admin")
    changes: dict[str, Any] = {}
    visibility = visibility_of(call.json)
    if visibility is not None:
        changes["visibility"] = visibility
    if "gated" in call.json:
        if call.json["gated"] not in (False, "auto", "manual"):
            raise bad_request("gated has to be 'auto', 'manual' or false.")
        changes["gated"] = call.json["gated"]
    repo.change(**changes)
    settings = repo.settings
    return answer(
        {
            "private": settings.is_private,
            "visibility": settings.visibility,
            "gated": settings.gated,
        }
    )


def auth_check(call: Call) -> Response:
    """Say whether the files may be read."""
    call.repo("read", content=True)
    return answer({})


def auth_check_write(call: Call) -> Response:
    """Say whether the repository may be written."""
    call.repo("write")
    return answer({})


def _initial_commit(repo: Repo, author: str) -> None:
    with repo.git.open() as git:
        tree = WorkTree(git, None)
        tree.put(".gitattributes", git.add_blob(default_gitattributes(repo.type).encode()))
        if repo.type == "space":
            card = f"---\ntitle: {repo.name}\nsdk: {repo.settings.sdk}\n---\n"
            tree.put("README.md", git.add_blob(card.encode()))
        commit = git.add_commit(tree.write(), [], author, "initial commit")
        git.move_ref("refs/heads/main", None, commit)


def _named(call: Call, namespace: object, name: object) -> Repo:
    identity = call.signed_in()
    if isinstance(name, str) and "/" in name:
        namespace, _, name = name.partition("/")
    key = (_type(call), str(namespace or identity.name), str(name))
    target = call.hub.repos.redirect(key) or key
    return check_repo(call.hub.repos.get(target), identity, "admin")


def _type(call: Call) -> str:
    repo_type = call.json.get("type") or "model"
    if repo_type not in _TYPES:
        raise bad_request(f"type has to be one of {', '.join(_TYPES)}, not {repo_type!r}.")
    return str(repo_type)


def _sdk(call: Call, repo_type: str) -> str | None:
    sdk = call.json.get("sdk")
    if repo_type != "space":
        return None
    if sdk not in ("gradio", "streamlit", "docker", "static"):
        raise bad_request("sdk has to be one of gradio, streamlit, docker, static.")
    return str(sdk)
