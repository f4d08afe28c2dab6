"""Tokens of CI jobs, exchanged once and kept while they last."""

from __future__ import annotations

import threading
import time

from hfl_auth._credential import Secret
from hfl_auth._hub import exchanged_oidc

_MARGIN = 60  # seconds before its end at which a token is not handed out any more


class JobTokens:
    """Exchanges the identity of a CI job for a token: trusted publishing (OIDC)."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], Secret] = {}
        self._lock = threading.Lock()

    def get(self, endpoint: str, resource: str) -> Secret:
        """Return a token of this job.

        Args:
            endpoint: The Hub.
            resource: What it should be for: a repository or a user.

        Returns:
            The token, exchanged anew only when the last one ends.

        Raises:
            AuthError: The Hub gives none, or huggingface_hub is too old.
        """
        key = (endpoint, resource)
        with self._lock:  # held meanwhile: a job's identity is often good for one exchange only
            secret = self._held.get(key)
            if secret is None or (secret.expires_at or 0) - time.time() < _MARGIN:
                secret = exchanged_oidc(endpoint, resource, now=time.time)
                self._held[key] = secret
            return secret
