"""Users, organizations and tokens, in one small file that is replaced as a whole."""

from __future__ import annotations

import hashlib
import secrets
import string
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterable, Mapping, Union

from hfl_core.errors import ConfigError, NotFoundError
from hfl_localhub._durable import read_json, write_json
from hfl_localhub._identity import Identity
from hfl_localhub._paths import is_valid_namespace

__all__ = ["Accounts", "Orgs", "Scopes"]

Orgs = Union[Iterable[str], Mapping[str, str]]
Scopes = Iterable["tuple[str, str]"]
_ROLES = ("read", "write", "fineGrained")
# The first parts of paths that are no repository's.
_RESERVED = ("_lfs", "api", "buckets", "datasets", "kernels", "me", "spaces", "xet")
_ORG_ROLES = ("read", "write", "admin")
_ALPHABET = string.ascii_letters + string.digits


class Accounts:
    """Who there is. Tokens are kept as digests only.

    Args:
        path: The file.
        clock: Returns the time in seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._state: dict[str, Any] = read_json(path) or {"users": {}, "orgs": {}, "tokens": {}}

    def create_user(
        self,
        name: str,
        orgs: Orgs = (),
        role: str = "write",
        *,
        scopes: Scopes = (),
        lifetime: float | None = None,
        token_name: str | None = None,
    ) -> str:
        """Create a user, or a further token for one, and return the token."""
        memberships = dict(orgs) if isinstance(orgs, Mapping) else dict.fromkeys(orgs, "write")
        self._check(name, memberships, role)
        token = "hf_local" + "".join(secrets.choice(_ALPHABET) for _ in range(29))
        with self._lock:
            users, tokens = self._state["users"], self._state["tokens"]
            user = users.setdefault(name, {"orgs": {}, "created": self._clock()})
            user["orgs"].update(memberships)
            for org in memberships:
                self._state["orgs"].setdefault(org, {"created": self._clock()})
            tokens[_digest(token)] = {
                "user": name,
                "role": role,
                "name": token_name or f"{name}-{role}-{len(tokens) + 1}",
                "scopes": sorted(list(scope) for scope in scopes),
                "expires": None if lifetime is None else self._clock() + lifetime,
            }
            self._save()
        return token

    def revoke(self, token: str) -> None:
        """Make a token invalid.

        Raises:
            NotFoundError: There is no such token.
        """
        with self._lock:
            if self._state["tokens"].pop(_digest(token), None) is None:
                raise NotFoundError("This Hub has no such token.")
            self._save()

    def identify(self, token: str) -> Identity | None:
        """Return whose token this is, or None when it is unknown or expired."""
        found = self._state["tokens"].get(_digest(token))
        if found is None:
            return None
        if found["expires"] is not None and found["expires"] <= self._clock():
            return None
        return Identity(
            name=found["user"],
            orgs=tuple(sorted(self._state["users"][found["user"]]["orgs"].items())),
            role=found["role"],
            token_name=found["name"],
            scopes=frozenset((about, access) for about, access in found["scopes"]),
        )

    def user(self, name: str) -> dict[str, Any] | None:
        """Return a user's record."""
        found: dict[str, Any] | None = self._state["users"].get(name)
        return found

    def org(self, name: str) -> dict[str, Any] | None:
        """Return an organization's record."""
        found: dict[str, Any] | None = self._state["orgs"].get(name)
        return found

    def members(self, org: str) -> list[tuple[str, str]]:
        """Return an organization's members with their roles."""
        users = self._state["users"].items()
        return sorted((name, user["orgs"][org]) for name, user in users if org in user["orgs"])

    def _check(self, name: str, orgs: Mapping[str, str], role: str) -> None:
        for namespace in (name, *orgs):
            if not is_valid_namespace(namespace) or namespace.lower() in _RESERVED:
                raise ConfigError(f"{namespace!r} can't be the name of a user or an organization.")
        if role not in _ROLES:
            raise ConfigError(f"A token's role is one of {_ROLES}, not {role!r}.")
        for org, org_role in orgs.items():
            if org_role not in _ORG_ROLES:
                raise ConfigError(f"The role in {org!r} is one of {_ORG_ROLES}, not {org_role!r}.")
        if name in self._state["orgs"] or any(org in self._state["users"] for org in (*orgs,)):
            raise ConfigError("A user and an organization can't have the same name.")
        if name in orgs:
            raise ConfigError("A user and an organization can't have the same name.")

    def _save(self) -> None:
        write_json(self._path, self._state, mode=0o600)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
