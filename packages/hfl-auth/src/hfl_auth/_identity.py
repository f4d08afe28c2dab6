"""Who a token acts as, and where it may write."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Mapping

_ORG_WRITERS = {"admin", "write", "contributor"}


@dataclass(frozen=True)
class Identity:
    """Whose token it is, as its Hub says.

    Attributes:
        name: The account, which is also the namespace of its own repositories.
        orgs: The organizations it belongs to, by name, with the role in each: ``"admin"``,
            ``"write"``, ``"contributor"`` or ``"read"``; ``""`` where the Hub does not say.
        role: What the token allows: ``"read"``, ``"write"``, ``"fineGrained"`` or ``"oauth"``.
        kind: ``"user"`` or ``"org"``.
        token_name: The name that the token was given on the Hub.
        scopes: Of a fine-grained token: what it is about (``"ann"``, ``"ann/digits"``), with the
            permissions there; None when the Hub does not say.
        expires_at: When the token expires; None for never or unknown.
        endpoint: The Hub.

    Example:
        >>> ann = Identity("ann", {"lab": "write", "guests": "read"}, "write")
        >>> ann.can_write("lab"), ann.can_write("guests"), ann.can_write("acme")
        (True, False, False)
    """

    name: str
    orgs: Mapping[str, str] = field(default_factory=dict)
    role: str = "write"
    kind: str = "user"
    token_name: str | None = None
    scopes: Mapping[str, tuple[str, ...]] | None = None
    expires_at: dt.datetime | None = None
    endpoint: str = ""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The account and its organizations."""
        return (self.name, *sorted(self.orgs))

    @property
    def writable(self) -> tuple[str, ...]:
        """The namespaces in which repositories may be created and changed."""
        return tuple(each for each in self.namespaces if self.can_write(each))

    def can_write(self, target: str) -> bool:
        """Say whether the token may write to a namespace, or to one repository.

        The Hub has the last word; this answers before anything is sent, from what it said.

        Args:
            target: A namespace (``"lab"``) or a repository (``"lab/digits"``).

        Returns:
            False if it certainly may not.
        """
        namespace = target.partition("/")[0]
        if self.role == "read":
            return False
        if namespace != self.name and not self._may_as_member(namespace):
            return False
        if self.role != "fineGrained" or self.scopes is None:
            return True
        about = (namespace, target)
        return any(
            _is_write(permission) for name in about for permission in self.scopes.get(name, ())
        )

    def _may_as_member(self, namespace: str) -> bool:
        if namespace not in self.orgs:
            return False
        role = self.orgs[namespace]
        return not role or role in _ORG_WRITERS


def identity_from(body: Mapping[str, Any], *, endpoint: str) -> Identity:
    """Read a Hub's answer to "who am I".

    Args:
        body: The answer to ``/api/whoami-v2``.
        endpoint: The Hub.

    Returns:
        Who it is.

    Raises:
        ValueError: It is no such answer.
    """
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError("it names no account")
    auth = _mapping(body.get("auth"))
    token = _mapping(auth.get("accessToken"))
    orgs = body.get("orgs")
    return Identity(
        name=name,
        orgs={
            str(org["name"]): str(org.get("roleInOrg") or "")
            for org in (orgs if isinstance(orgs, list) else [])
            if isinstance(org, Mapping) and org.get("name")
        },
        role=str(token.get("role") or ("oauth" if auth.get("type") == "oauth" else "write")),
        kind=str(body.get("type") or "user"),
        token_name=str(token["displayName"]) if token.get("displayName") else None,
        scopes=_scopes(token.get("fineGrained")),
        expires_at=_time(auth.get("expiresAt") or token.get("expiresAt")),
        endpoint=endpoint,
    )


def _scopes(value: Any) -> Mapping[str, tuple[str, ...]] | None:
    scoped = _mapping(value).get("scoped")
    if not isinstance(scoped, list):
        return None
    scopes: dict[str, tuple[str, ...]] = {}
    for item in scoped:
        name = _mapping(_mapping(item).get("entity")).get("name")
        permissions = _mapping(item).get("permissions")
        if isinstance(name, str) and isinstance(permissions, list):
            scopes[name] = (*scopes.get(name, ()), *(str(each) for each in permissions))
    return scopes


def _is_write(permission: str) -> bool:
    return permission.rpartition(".")[2] in {"write", "admin"}


def _time(value: Any) -> dt.datetime | None:
    if not isinstance(value, str):
        return None
    try:
        parsed = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.timezone.utc)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
