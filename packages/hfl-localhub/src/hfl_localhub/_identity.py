"""Who asks, and what they may do."""

from __future__ import annotations

import dataclasses
from typing import FrozenSet, Tuple

__all__ = ["Identity"]

_RANK = {"read": 0, "write": 1, "admin": 2}


@dataclasses.dataclass(frozen=True)
class Identity:
    """A user, as seen through the token that the request carries.

    Attributes:
        name: The user's name, which is also the namespace of the user's repositories.
        orgs: The organizations the user belongs to, with the role in each
            (``"read"``, ``"write"`` or ``"admin"``).
        role: What the token allows: ``"read"``, ``"write"`` or ``"fineGrained"``.
        token_name: The token's display name.
        scopes: For fine-grained tokens, pairs of what it is about (a namespace such as
            ``"ann"`` or a repository such as ``"ann/digits"``) and ``"read"`` or ``"write"``.
    """

    name: str
    orgs: Tuple[Tuple[str, str], ...] = ()
    role: str = "write"
    token_name: str = "default"  # noqa: S105  # a display name
    scopes: FrozenSet[Tuple[str, str]] = frozenset()

    def can_read(self, namespace: str, name: str | None = None) -> bool:
        """Whether private repositories of a namespace (or one of them) may be read."""
        return self._member_rank(namespace) >= 0 and self._token_allows("read", namespace, name)

    def can_write(self, namespace: str, name: str | None = None) -> bool:
        """Whether a namespace's repositories (or one of them) may be written."""
        return self._member_rank(namespace) >= 1 and self._token_allows("write", namespace, name)

    def can_administer(self, namespace: str, name: str | None = None) -> bool:
        """Whether repositories may be deleted, moved and reconfigured."""
        return self._member_rank(namespace) >= 1 and self._token_allows("write", namespace, name)

    def _member_rank(self, namespace: str) -> int:
        if namespace == self.name:
            return _RANK["admin"]
        return _RANK.get(dict(self.orgs).get(namespace, ""), -1)

    def _token_allows(self, access: str, namespace: str, name: str | None) -> bool:
        if self.role == "fineGrained":
            about = {namespace} | ({f"{namespace}/{name}"} if name is not None else set())
            needed = ("write",) if access == "write" else ("read", "write")
            return any((what, level) in self.scopes for what in about for level in needed)
        return access == "read" or self.role == "write"
