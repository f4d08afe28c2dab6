"""The small answers around repositories: cards, likes, people, gates, and what is only polite."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hfl_localhub._call import Call, answer
from hfl_localhub._cards import check_card
from hfl_localhub._errors import HubError, bad_request
from hfl_localhub._routing import Router

__all__ = ["add_routes"]

_STATUSES = ("pending", "accepted", "rejected")


def add_routes(router: Router) -> None:
    """Add this module's routes."""
    router.add("POST", "/api/validate-yaml", validate_yaml, "large")
    router.add("POST", "/api/{T}/{ns}/{name}/like", like, "small")
    router.add("DELETE", "/api/{T}/{ns}/{name}/like", unlike)
    router.add("GET", "/api/{T}/{ns}/{name}/likers", likers)
    router.add("GET", "/api/users/{user}/likes", liked)
    router.add("GET", "/api/users/{user}/overview", user_overview)
    router.add("GET", "/api/organizations/{org}/overview", org_overview)
    router.add("GET", "/api/organizations/{org}/members", members)
    router.add("GET", "/api/{kind}-tags-by-type", tags_by_type)
    router.add("POST", "/{prefix}{ns}/{name}/ask-access", ask_access, "small")
    router.add("GET", "/api/{T}/{ns}/{name}/user-access-request/{status}", access_requests)
    router.add("POST", "/api/{T}/{ns}/{name}/user-access-request/grant", grant_access, "small")
    router.add("POST", "/api/{T}/{ns}/{name}/user-access-request/handle", handle_access, "small")
    router.add("GET", "/api/agent-harnesses", nothing)
    router.add("GET", "/api/telemetry/{rest*}", nothing)
    router.add("POST", "/api/telemetry/{rest*}", nothing, "small")


def nothing(call: Call) -> Response:  # noqa: ARG001  # every route takes the call
    """Take what clients send home, and keep none of it."""
    return answer({})


def validate_yaml(call: Call) -> Response:
    """Check a card's metadata."""
    errors, warnings = check_card(call.text("content"), call.text("repoType", "model"))
    return answer(
        {
            "errors": [{"message": message} for message in errors],
            "warnings": [{"message": message} for message in warnings],
        },
        400 if errors else 200,
    )


def like(call: Call) -> Response:
    """Like a repository."""
    repo, name = call.repo(), call.signed_in().name
    with repo.lock:
        repo.change(likes=tuple(sorted({*repo.settings.likes, name})))
    return Response("OK")


def unlike(call: Call) -> Response:
    """Take a like back."""
    repo, name = call.repo(), call.signed_in().name
    with repo.lock:
        repo.change(likes=tuple(sorted({*repo.settings.likes} - {name})))
    return Response("OK")


def likers(call: Call) -> Response:
    """List who likes a repository."""
    return answer([_person(name) for name in call.repo().settings.likes])


def liked(call: Call) -> Response:
    """List what a user likes."""
    user = call.params["user"]
    shown = [
        {
            "createdAt": "2024-01-01T00:00:00.000Z",
            "repo": {"name": repo.id, "type": repo.type},
        }
        for repo in call.hub.repos
        if user in repo.settings.likes and not repo.settings.is_private
    ]
    return answer(shown)


def user_overview(call: Call) -> Response:
    """Describe a user."""
    name = call.params["user"]
    found = call.hub.accounts.user(name)
    if found is None:
        raise HubError(404, f"There is no user {name!r}.", code="UserNotFound")
    counts: dict[str, Any] = {
        f"num{kind.capitalize()}s": sum(
            repo.type == kind and repo.namespace == name and not repo.settings.is_private
            for repo in call.hub.repos
        )
        for kind in ("model", "dataset", "space")
    }
    orgs = [{"name": org, "fullname": org} for org in sorted(found["orgs"])]
    return answer({**_person(name), **counts, "orgs": orgs, "numLikes": 0})


def org_overview(call: Call) -> Response:
    """Describe an organization."""
    name = _org(call)
    users = len(call.hub.accounts.members(name))
    return answer({"name": name, "fullname": name, "avatarUrl": "", "numUsers": users})


def members(call: Call) -> Response:
    """List an organization's members."""
    return answer([_person(name) for name, _ in call.hub.accounts.members(_org(call))])


def tags_by_type(call: Call) -> Response:  # noqa: ARG001  # every route takes the call
    """List the known tags: none are curated here."""
    return answer({})


def ask_access(call: Call) -> Response:
    """Ask for access to a gated repository."""
    repo, identity = call.repo(), call.signed_in()
    if not repo.settings.gated:
        raise bad_request(f"{repo.id} is not gated.")
    status = "accepted" if repo.settings.gated == "auto" else "pending"
    with repo.lock:
        if identity.name not in dict(repo.settings.access):
            repo.change(access=(*repo.settings.access, (identity.name, status)))
    return answer({"status": status})


def access_requests(call: Call) -> Response:
    """List who asked for access, by status."""
    repo, status = call.repo("admin"), call.params["status"]
    if status not in _STATUSES:
        raise bad_request(f"The status is one of {', '.join(_STATUSES)}.")
    return answer(
        [
            {
                "status": status,
                "timestamp": "2024-01-01T00:00:00.000Z",
                "user": {"user": name, "fullname": name, "email": None},
            }
            for name, found in repo.settings.access
            if found == status
        ]
    )


def grant_access(call: Call) -> Response:
    """Give somebody access to a gated repository."""
    return _set_access(call, call.text("user"), "accepted")


def handle_access(call: Call) -> Response:
    """Accept, reject or reopen a request."""
    status = call.text("status")
    if status not in _STATUSES:
        raise bad_request(f"The status is one of {', '.join(_STATUSES)}.")
    user = call.text("user")
    if user not in dict(call.repo("admin").settings.access):
        raise HubError(404, f"{user!r} did not ask for access.", code="AccessRequestNotFound")
    return _set_access(call, user, status)


def _set_access(call: Call, user: str, status: str) -> Response:
    repo = call.repo("admin")
    if call.hub.accounts.user(user) is None:
        raise HubError(404, f"There is no user {user!r}.", code="UserNotFound")
    with repo.lock:
        repo.change(access=tuple({**dict(repo.settings.access), user: status}.items()))
    return answer({})


def _org(call: Call) -> str:
    name = call.params["org"]
    if call.hub.accounts.org(name) is None:
        raise HubError(404, f"There is no organization {name!r}.", code="OrganizationNotFound")
    return name


def _person(name: str) -> dict[str, Any]:
    return {
        "_id": name,
        "user": name,
        "username": name,
        "name": name,
        "fullname": name,
        "avatarUrl": "",
        "isPro": False,
        "type": "user",
    }
