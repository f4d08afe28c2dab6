"""Asking a Hub whose token this is, and what its answers mean."""

from __future__ import annotations

import os

from hfl_auth._endpoints import TRUE
from hfl_auth._hub import Answer, ask_whoami
from hfl_auth._identity import Identity, identity_from
from hfl_auth.errors import InvalidTokenError
from hfl_core import RetryPolicy, get_logger, load_settings
from hfl_core.errors import HflError, NetworkError, PermissionDeniedError, RateLimitError

_LOG = get_logger(__name__)


def ask_identity(endpoint: str, token: str, *, source: str) -> Identity:
    """Ask a Hub whose token this is.

    Args:
        endpoint: The Hub.
        token: The token.
        source: Where it came from, for the error.

    Returns:
        Who it is.

    Raises:
        InvalidTokenError: The Hub does not accept the token.
        PermissionDeniedError: The Hub refuses to say.
        RateLimitError: The Hub was asked too often.
        NetworkError: The Hub did not answer, or not properly.
    """
    settings = load_settings()
    if settings.offline:
        raise NetworkError(
            f"{endpoint} was not asked: the setting `offline` is on "
            f"(from {settings.source('offline')}).",
            hint="Turn it off to ask who you are.",
        )
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in TRUE:  # asking again would not help
        raise NetworkError(
            f"{endpoint} was not asked: HF_HUB_OFFLINE is set.", hint="Unset it to ask who you are."
        )
    policy = RetryPolicy(
        attempts=min(settings.retry_attempts, 3),
        base_delay=0.2,
        max_delay=2.0,
        timeout=settings.timeout,
    )

    def ask() -> Identity:
        answer = ask_whoami(endpoint, token, timeout=settings.timeout)
        return _identity(answer, endpoint=endpoint, source=source)

    identity = policy.call(ask)
    _LOG.debug("%s says that the token from %s is %s's.", endpoint, source, identity.name)
    return identity


def _identity(answer: Answer, *, endpoint: str, source: str) -> Identity:
    if answer.status == 401:
        raise InvalidTokenError(source, endpoint=endpoint)
    if answer.status == 403:
        raise PermissionDeniedError(
            f"{endpoint} accepts the token from {source}, and does not let it ask who it is.",
            hint="Use a token that may read your account's name.",
        )
    if answer.status == 429:
        raise RateLimitError(
            f"{endpoint} was asked too often who this is.",
            hint="Wait a little; one AuthManager asks only once.",
            retry_after=_seconds(answer.headers.get("retry-after")),
        )
    if answer.status >= 500:
        raise NetworkError(
            f"{endpoint} answered with the error {answer.status}.", hint="Try again in a moment."
        )
    try:
        if answer.status != 200 or not isinstance(answer.body, dict):
            raise ValueError(f"it has the status {answer.status}")  # noqa: TRY301  # told below
        return identity_from(answer.body, endpoint=endpoint)
    except ValueError as error:
        raise HflError(
            f"What {endpoint} answers is not what a Hub answers: {error}.",
            hint="Check the address: hfl auth explain",
        ) from error


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:  # a date; the Hub sends seconds
        return None
