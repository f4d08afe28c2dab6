"""Secrets in the system's keyring, with the extra `keyring`."""

from __future__ import annotations

import json
from typing import Any

from hfl_auth._credential import Secret
from hfl_core.errors import AuthError, IntegrityError, MissingExtraError

_SERVICE = "huggingface-lifecycle"


def keyring_secret(profile: str, endpoint: str) -> Secret | None:
    """Read a profile's secret.

    Args:
        profile: The profile's name.
        endpoint: Its Hub. It is part of the entry's name: whoever changes where a profile belongs
            in our file does not get its token sent there.

    Returns:
        The secret, or None if the keyring has none.

    Raises:
        MissingExtraError: The extra `keyring` is not installed.
        AuthError: The keyring cannot be used.
        IntegrityError: The entry is none of ours.
    """
    text = _call("get_password", endpoint, profile)
    if text is None:
        return None
    try:
        fields = json.loads(text)
        return Secret(
            token=fields["token"],
            refresh_token=fields.get("refresh_token"),
            expires_at=fields.get("expires_at"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # Without the cause: a decoder's error carries what it could not decode.
        raise IntegrityError(
            f"The keyring's entry for the profile {profile!r} cannot be understood.",
            hint=f"Sign in again with: hfl auth login --profile {profile} --storage keyring",
        ) from None


def store_in_keyring(profile: str, endpoint: str, secret: Secret) -> None:
    """Write a profile's secret; raises what `keyring_secret` does."""
    fields = {
        "token": secret.token,
        "refresh_token": secret.refresh_token,
        "expires_at": secret.expires_at,
    }
    kept = {name: value for name, value in fields.items() if value is not None}
    _call("set_password", endpoint, profile, json.dumps(kept))


def remove_from_keyring(profile: str, endpoint: str) -> None:
    """Remove a profile's secret, if it is there; raises what `keyring_secret` does."""
    if _call("get_password", endpoint, profile) is not None:
        _call("delete_password", endpoint, profile)


def _call(function: str, endpoint: str, *arguments: str) -> Any:
    try:
        import keyring
        import keyring.errors
    except ImportError as error:
        raise MissingExtraError(
            "keeping tokens in the keyring", extra="hfl-auth[keyring]"
        ) from error
    try:
        return getattr(keyring, function)(f"{_SERVICE} {endpoint}", *arguments)
    except keyring.errors.NoKeyringError as error:
        raise AuthError(
            "This machine has no keyring that can be used.",
            hint="Keep the token in an owner-only file instead: --storage file",
        ) from error
    except keyring.errors.KeyringError as error:
        raise AuthError(
            f"The keyring could not be used: {type(error).__name__}.",
            hint="Unlock it, or keep the token in an owner-only file: --storage file",
        ) from error
