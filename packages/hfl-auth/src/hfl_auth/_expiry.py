"""Tokens that end soon: said once, and renewed where the kind of token allows it."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Callable

from hfl_auth._credential import Secret
from hfl_auth._hub import refreshed
from hfl_auth._snapshot import StoredProfile
from hfl_auth._store import TokenStore
from hfl_auth._tokens import fingerprint
from hfl_core import get_logger
from hfl_core.errors import HflError

_LOG = get_logger(__name__)
WARN_BEFORE = 7 * 24 * 3600
RENEW_BEFORE = 3600
# A token that never lasts longer than that, or that cannot be renewed, is not renewed at every call.
RENEW_EVERY = 300

_warned: set[str] = set()
_tried: dict[str, float] = {}
_lock = threading.Lock()


def warn_of_expiry(
    token: str, expires_at: float | None, *, place: str, now: float | None = None
) -> None:
    """Log a warning, once per token and process, if a token ends within a week or has ended.

    Args:
        token: The token.
        expires_at: When it ends, in seconds since 1970, if known.
        place: Where it came from.
        now: The time; the clock's if None.
    """
    moment = time.time() if now is None else now
    if expires_at is None or expires_at - moment > WARN_BEFORE:
        return
    with _lock:
        if fingerprint(token) in _warned:
            return
        _warned.add(fingerprint(token))
    day = dt.datetime.fromtimestamp(expires_at, tz=dt.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    verb = "expired" if expires_at <= moment else "expires"
    _LOG.warning("The token from %s %s on %s. Sign in again: hfl auth login", place, verb, day)


def renewed_if_due(
    store: TokenStore,
    profile: StoredProfile,
    secret: Secret,
    *,
    now: Callable[[], float] = time.time,
) -> Secret:
    """Renew a token that ends within the hour, if its kind can be renewed.

    Never raises because of it: a token that could not be renewed may still work.

    Args:
        store: Where the profile is.
        profile: The profile.
        secret: Its secret.
        now: Returns the time in seconds since 1970.

    Returns:
        The new secret, or the old one.
    """
    if not _is_due(secret, now()):
        return secret
    try:
        with store.change() as change:
            # Refresh tokens are used up by refreshing, so another process's result is taken over.
            current = change.snapshot.profiles().get(profile.name)
            held = secret if current is None else change.snapshot.secret(current)
            if held.token != secret.token or held.refresh_token is None:
                return held
            new = refreshed(profile.endpoint, held.refresh_token, now=now)
            change.renew(profile, held, new)
            _note_try(new, now())
    except HflError as error:
        _LOG.warning("The token of the profile %r could not be renewed: %s", profile.name, error)
        return secret
    _LOG.info("The token of the profile %r was renewed.", profile.name)
    return new


def _is_due(secret: Secret, now: float) -> bool:
    if secret.refresh_token is None or secret.expires_at is None:
        return False
    if secret.expires_at - now >= RENEW_BEFORE:
        return False
    with _lock:
        last = _tried.get(fingerprint(secret.token))
    if last is not None and 0 <= now - last < RENEW_EVERY:
        return False
    _note_try(secret, now)
    return True


def _note_try(secret: Secret, now: float) -> None:
    with _lock:
        _tried[fingerprint(secret.token)] = now
