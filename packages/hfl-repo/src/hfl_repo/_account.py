"""The account behind the token, and what it may do in which namespace."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Mapping

from hfl_auth.errors import WrongAccountError
from hfl_core.errors import AuthError, PermissionDeniedError

if TYPE_CHECKING:
    from hfl_repo._hub import Hub

__all__ = ["Account", "ask_account"]

_WRITERS = ("write", "contributor", "admin")


@dataclasses.dataclass(frozen=True)
class Account:
    """Who acts.

    Attributes:
        name: The account's name, which is also its namespace.
        orgs: Organization to the role in it; ``""`` where the Hub does not tell.
        role: What the token allows: ``"read"``, ``"write"``, ``"fineGrained"``, or ``""``.
        scopes: For a fine-grained token, what it names (a namespace or a repository) to the
            permissions that it has there.
    """

    name: str
    orgs: Mapping[str, str] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    role: str = ""
    scopes: Mapping[str, frozenset[str]] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )

    @property
    def writable(self) -> tuple[str, ...]:
        """The namespaces to which it may write, its own first."""
        return tuple(name for name in (self.name, *sorted(self.orgs)) if self._may_write(name))

    def refusal(self, namespace: str, name: str) -> str | None:
        """Say why the account may not write to a repository, as far as that is known here.

        Args:
            namespace: The user or organization.
            name: The repository's name in it.

        Returns:
            The reason as a clause, or None when nothing speaks against it.
        """
        if self.role == "read":
            return f"the token of {self.name!r} is for reading only"
        if namespace != self.name and namespace not in self.orgs:
            return f"{self.name!r} is not a member of {namespace!r}"
        if namespace != self.name and self.orgs[namespace] not in ("", *_WRITERS):
            return f"{self.name!r} may only read in {namespace!r}"
        if self.role == "fineGrained" and not self._is_in_scope(namespace, name):
            return f"the fine-grained token of {self.name!r} does not allow writing to it"
        return None

    def check_writable(self, namespace: str, name: str) -> None:
        """Refuse what the Hub would refuse, before anything is sent.

        Raises:
            WrongAccountError: The namespace is not one of the account's.
            PermissionDeniedError: The token does not allow it.
        """
        reason = self.refusal(namespace, name)
        if reason is None:
            return
        if self.role != "read" and namespace != self.name and "token" not in reason:
            raise WrongAccountError(namespace, account=self.name, allowed=self.writable)
        raise PermissionDeniedError(
            f"'{namespace}/{name}' cannot be written: {reason}.",
            hint="Use a token that may write: hfl auth explain shows which one is in use.",
        )

    def check_contributor(self, repo_id: str) -> None:
        """Refuse a proposal for which the token has no right.

        Raises:
            PermissionDeniedError: The token is for reading only.
        """
        if self.role == "read":
            raise PermissionDeniedError(
                f"No pull request can be opened on {repo_id!r}: the token of {self.name!r} is for"
                " reading only.",
                hint="Use a token that may write: hfl auth explain shows which one is in use.",
            )

    def _may_write(self, namespace: str) -> bool:
        if self.role == "fineGrained":
            return any(about.partition("/")[0] == namespace for about in self.scopes)
        return self.role != "read" and self.orgs.get(namespace, "write") in ("", *_WRITERS)

    def _is_in_scope(self, namespace: str, name: str) -> bool:
        if not self.scopes:  # the Hub did not tell: it decides
            return True
        granted = self.scopes.get(namespace, frozenset()) | self.scopes.get(
            f"{namespace}/{name}", frozenset()
        )
        return any("write" in permission for permission in granted)


def ask_account(hub: Hub) -> Account:
    """Ask the Hub who the token belongs to.

    Raises:
        AuthError: There is no token, or the Hub does not accept it.
    """
    if not hub.has_token:
        raise AuthError(
            f"Nobody is signed in at {hub.endpoint}.", hint="Sign in with: hfl auth login"
        )
    found = hub.get("/api/whoami-v2")
    token = _mapping(_mapping(found.get("auth")).get("accessToken"))
    orgs = {
        str(org["name"]): str(org.get("roleInOrg") or "")
        for org in found.get("orgs") or ()
        if isinstance(org, dict) and "name" in org
    }
    hub.account = str(found.get("name") or "")
    return Account(hub.account, orgs, str(token.get("role") or ""), _scopes(token))


def _scopes(token: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for scope in _mapping(token.get("fineGrained")).get("scoped") or ():
        about = _mapping(_mapping(scope).get("entity")).get("name")
        if isinstance(about, str):
            permissions = frozenset(map(str, _mapping(scope).get("permissions") or ()))
            found[about] = found.get(about, frozenset()) | permissions
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
