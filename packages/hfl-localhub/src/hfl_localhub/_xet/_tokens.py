"""What a client may do with the content store, and for how long.

A token is bound to one repository or bucket and to reading or writing. A URL to bytes of a xorb
carries its own permission, because clients fetch it without a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hfl_localhub._xet import _hashing
from hfl_localhub._xet._errors import XetScopeError, XetTokenError

if TYPE_CHECKING:
    from hfl_localhub._signing import Signer

#: How long a token or a URL is good, in seconds.
LIFETIME = 3600


class Scope(NamedTuple):
    """What a token is about.

    Attributes:
        repo_type: ``"model"``, ``"dataset"``, ``"space"`` or ``"bucket"``.
        repo_id: Namespace and name.
        access: ``"read"``, ``"write"`` (who may write may read) or ``"contribute"``: upload for a
            pull request, which gives no right to a gated repository's files.
    """

    repo_type: str
    repo_id: str
    access: str


class Grant(NamedTuple):
    """A token and when it expires, in seconds since 1970."""

    token: str
    expires: int


class XetTokens:
    """Issues tokens and checks them.

    Args:
        signer: Signs them with the Hub's key.
        lifetime: How long they are good, in seconds.
    """

    def __init__(self, signer: Signer, lifetime: float = LIFETIME) -> None:
        self._signer = signer
        self._lifetime = lifetime

    def issue(self, scope: Scope) -> Grant:
        """Return a token for a scope."""
        token = self._signer.sign({"xet": "token", **scope._asdict()}, lifetime=self._lifetime)
        return Grant(token, int(self._signer.clock() + self._lifetime))

    def check(self, authorization: str, access: str) -> Scope:
        """Return what the token in an Authorization header is about.

        Raises:
            XetTokenError: If there is none, or it is forged, expired or of another kind.
            XetScopeError: If it does not allow the access.
        """
        kind, _, token = authorization.partition(" ")
        value = self._signer.verify(token.strip()) if kind.lower() == "bearer" else None
        if value is None or value.pop("xet", None) != "token":
            raise XetTokenError("The Xet token is missing, expired or not one of this Hub.")
        scope = Scope(**value)
        if access == "write" and scope.access not in ("write", "contribute"):
            raise XetScopeError("This Xet token allows reading only.")
        return scope

    def sign_bytes(self, xorb: bytes, first: int, last: int) -> str:
        """Return what a URL needs to fetch bytes of a xorb, the last one included."""
        value = {"xet": "bytes", "xorb": _hashing.to_text(xorb), "first": first, "last": last}
        return self._signer.sign(value, lifetime=self._lifetime)

    def check_bytes(self, signature: str, xorb: str) -> tuple[int, int]:
        """Return the first and the last byte that a URL's signature allows to fetch.

        Raises:
            XetScopeError: If it is forged, expired or for another xorb.
        """
        value = self._signer.verify(signature)
        if value is None or value.get("xet") != "bytes" or value.get("xorb") != xorb:
            raise XetScopeError("The URL has expired or was not made by this Hub.")
        return value["first"], value["last"]
