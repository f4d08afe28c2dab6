"""Who may see and change which repository, and how a refusal is worded."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from typing import TYPE_CHECKING, Literal

from hfl_localhub._errors import (
    HubError,
    forbidden,
    gated,
    invalid_token,
    repo_not_found,
    unauthorized,
)

if TYPE_CHECKING:
    from starlette.requests import Request

    from hfl_localhub._accounts import Accounts
    from hfl_localhub._identity import Identity
    from hfl_localhub._repos import Repo

__all__ = [
    "Access",
    "authenticate",
    "can_read_content",
    "check_content",
    "check_namespace",
    "check_repo",
    "is_visible",
]

Access = Literal["read", "contribute", "write", "admin"]


def authenticate(accounts: Accounts, request: Request) -> Identity | None:
    """Return who asks, by bearer token or (git, git-lfs) by basic authentication.

    Raises:
        HubError: 401, the token is unknown, expired or revoked.
    """
    override = request.scope.get("hfl.token_fault")
    if override == "expired":
        raise invalid_token()
    token = _token(request.headers.get("authorization"))
    if token is None:
        return None
    identity = accounts.identify(token)
    if identity is None:
        raise invalid_token()
    if override == "read-only":
        return dataclasses.replace(identity, role="read")
    return identity


def _token(header: str | None) -> str | None:
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise invalid_token() from None
        return password or user
    raise invalid_token()


def is_visible(repo: Repo, identity: Identity | None) -> bool:
    """Whether somebody may know that the repository exists."""
    if not repo.settings.is_private:
        return True
    return identity is not None and identity.can_read(repo.namespace, repo.name)


def check_repo(repo: Repo | None, identity: Identity | None, access: Access) -> Repo:
    """Return the repository if the access is allowed.

    Raises:
        HubError: It is absent or looks so; or nobody is signed in; or the right is missing.
    """
    if repo is None or not is_visible(repo, identity):
        raise repo_not_found(is_anonymous=identity is None)
    if access == "read":
        return repo
    if identity is None:
        raise unauthorized()
    if access == "contribute" and identity.role != "read":
        return repo  # whoever sees a repository may propose a change to it
    if not _may(identity, repo.namespace, repo.name, access):
        raise _refusal(identity, f"{access} to {repo.id}")
    return repo


def check_namespace(identity: Identity | None, namespace: str, name: str) -> Identity:
    """Return who asks if they may create repositories in a namespace.

    Raises:
        HubError: 401 or 403.
    """
    if identity is None:
        raise unauthorized()
    if not identity.can_write(namespace, name):
        raise _refusal(identity, f"create repositories under the namespace {namespace!r}")
    return identity


def check_content(repo: Repo, identity: Identity | None) -> None:
    """Refuse the files of a gated repository to those who were not granted access.

    Raises:
        HubError: 401 or 403 with ``GatedRepo``.
    """
    if not _passes_gate(repo, identity):
        raise gated(repo.id, is_anonymous=identity is None)


def can_read_content(repo: Repo, identity: Identity | None) -> bool:
    """Whether somebody may read a repository's files."""
    return is_visible(repo, identity) and _passes_gate(repo, identity)


def _passes_gate(repo: Repo, identity: Identity | None) -> bool:
    if not repo.settings.gated:
        return True
    if identity is None:
        return False
    is_accepted = dict(repo.settings.access).get(identity.name) == "accepted"
    return is_accepted or identity.can_read(repo.namespace, repo.name)


def _may(identity: Identity, namespace: str, name: str, access: Access) -> bool:
    if access in ("write", "contribute"):
        return identity.can_write(namespace, name)
    return identity.can_administer(namespace, name)


def _refusal(identity: Identity, what: str) -> HubError:
    if identity.role == "read":
        return forbidden(f"You don't have the rights to {what}: this token is for reading only.")
    return forbidden(f"You don't have the rights to {what}.")
