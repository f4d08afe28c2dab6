"""Signatures for URLs that work without a token, until they expire."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any, Callable

__all__ = ["Signer"]


class Signer:
    """Signs small JSON values with a key that only this Hub knows.

    Args:
        key: The secret, kept in the Hub's folder so that URLs survive a restart.
        clock: Returns the time in seconds; tests pass their own.

    Example:
        >>> signer = Signer(b"secret")
        >>> signer.verify(signer.sign({"oid": "ab"}, lifetime=60))
        {'oid': 'ab'}
    """

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self.clock = clock

    def sign(self, value: dict[str, Any], *, lifetime: float) -> str:
        """Return a URL-safe token that carries the value for so many seconds."""
        payload = {**value, "exp": int(self.clock() + lifetime)}
        body = base64.urlsafe_b64encode(json.dumps(payload, sort_keys=True).encode())
        return f"{body.decode().rstrip('=')}.{self._mac(body.rstrip(b'='))}"

    def verify(self, token: str) -> dict[str, Any] | None:
        """Return the value, or None when the token is forged, mangled or expired."""
        body, _, mac = token.partition(".")
        try:
            genuine = hmac.compare_digest(mac, self._mac(body.encode("ascii")))
            if not genuine:
                return None
            value: dict[str, Any] = json.loads(
                base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
            )
        except (ValueError, TypeError):
            return None
        if value.pop("exp") < self.clock():
            return None
        return value

    def _mac(self, body: bytes) -> str:
        return hmac.new(self._key, body, hashlib.sha256).hexdigest()
