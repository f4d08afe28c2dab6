"""From an answer that says no to an error of ours."""

from __future__ import annotations

import email.utils
import re
import time
from typing import TYPE_CHECKING, Callable, Mapping

from hfl_auth.errors import InvalidTokenError
from hfl_core import redact
from hfl_core.errors import (
    AuthError,
    ConflictError,
    DiskSpaceError,
    HflError,
    NetworkError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ValidationError,
)
from hfl_repo.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HeadMovedError,
    RepoNotFoundError,
    RevisionNotFoundError,
)

if TYPE_CHECKING:
    from hfl_repo._answer import Answer
    from hfl_repo._target import Target

__all__ = ["Viewer", "error_for", "requested_wait"]

_INVALID_CREDENTIALS = "invalid credentials in authorization header"
# `ratelimit: "api";r=0;t=55` (IETF draft): the window ends in t seconds.
_RATE_LIMIT = re.compile(
    r'"?(?P<kind>\w+)"?\s*;\s*r\s*=\s*(?P<left>\d+)\s*;\s*t\s*=\s*(?P<wait>\d+)'
)
_UNITS = {"second": 1, "minute": 60, "hour": 3600}
_IN_WORDS = re.compile(r"(\d+(?:\.\d+)?)\s*(second|minute|hour)s?\b", re.IGNORECASE)


class Viewer:
    """Who asks and whom, for messages.

    Args:
        endpoint: The Hub's address.
        source: Where the token came from; None without one.
        account: The account's name if it is known already; never asks for it.
    """

    def __init__(self, endpoint: str, source: str | None, account: str | None) -> None:
        self.endpoint = endpoint
        self.source = source
        self.account = account


def error_for(answer: Answer, target: Target | None, viewer: Viewer) -> HflError:
    """Build the error for an answer with a status of 400 or more.

    Args:
        answer: The answer.
        target: What the request was about.
        viewer: Who asked.

    Returns:
        The error to raise.
    """
    code = answer.headers.get("x-error-code", "")
    by_code = _BY_CODE.get(code)
    if by_code is not None and target is not None:
        return by_code(answer, target, viewer)
    by_status = _BY_STATUS.get(answer.status)
    if by_status is not None:
        return by_status(answer, target, viewer)
    if answer.status >= 500:
        return _broken(answer, target, viewer)
    return ValidationError(
        f"The Hub refuses the request{_about(target)} with status {answer.status}{_said(answer)}."
    )


def requested_wait(answer: Answer, *, now: Callable[[], float] = time.time) -> float | None:
    """Return how many seconds the Hub asks to wait: the longest of all that it says.

    ``Retry-After`` is known to say less than the hourly commit quota really asks, which is
    told in the text only.

    Args:
        answer: An answer with status 429 or 503.
        now: Returns the time in seconds since the epoch.

    Returns:
        Seconds, or None when it does not say.
    """
    waits = []
    after = answer.headers.get("retry-after", "").strip()
    if after.replace(".", "", 1).isdigit():
        waits.append(float(after))
    elif after:
        parsed = email.utils.parsedate_tz(after)
        if parsed is not None:
            waits.append(max(0.0, email.utils.mktime_tz(parsed) - now()))
    window = _RATE_LIMIT.search(answer.headers.get("ratelimit", ""))
    if window is not None and int(window["left"]) == 0:
        waits.append(float(window["wait"]))
    if answer.status == 429:
        found = _IN_WORDS.findall(_after_retry(answer.error_text))
        waits += [float(number) * _UNITS[unit.lower()] for number, unit in found]
    return max(waits, default=None)


def _after_retry(text: str) -> str:
    # "128 commits per 1 hour … retry in 40 minutes": only what follows the request to retry counts.
    _, found, rest = text.lower().partition("retry")
    if not found:
        _, found, rest = text.lower().partition("try again")
    return rest


def _about(target: Target | None) -> str:
    return "" if target is None else f" about {target.repo_id!r}"


def _said(answer: Answer) -> str:
    text = redact(answer.error_text).rstrip(". ")
    return f": {text}" if text else ""


def _repo_not_found(answer: Answer, target: Target, viewer: Viewer) -> HflError:
    if _INVALID_CREDENTIALS in answer.error_text.lower():
        return _unauthorized(answer, target, viewer)
    return RepoNotFoundError(
        target.repo_id,
        repo_type=target.repo_type,
        account=viewer.account,
        source=viewer.source,
    )


def _revision_not_found(_answer: Answer, target: Target, _viewer: Viewer) -> HflError:
    return RevisionNotFoundError(target.repo_id, target.revision or "main")


def _entry_not_found(_answer: Answer, target: Target, _viewer: Viewer) -> HflError:
    return EntryNotFoundError(target.repo_id, target.path or "", revision=target.revision or "main")


def _gated(_answer: Answer, target: Target, viewer: Viewer) -> HflError:
    return GatedRepoError(target.repo_id, endpoint=viewer.endpoint)


def _unauthorized(answer: Answer, _target: Target | None, viewer: Viewer) -> HflError:
    if viewer.source is not None:
        return InvalidTokenError(viewer.source, endpoint=viewer.endpoint)
    return AuthError(
        f"{viewer.endpoint} wants to know who asks{_said(answer)}.",
        hint="Sign in with: hfl auth login",
    )


def _forbidden(answer: Answer, target: Target | None, viewer: Viewer) -> HflError:
    who = repr(viewer.account) if viewer.account else "the token that is in use"
    return PermissionDeniedError(
        f"The Hub does not let {who} do this{_about(target)}{_said(answer)}.",
        hint="See what it may do with: hfl repo permissions; and which token it is: hfl auth explain",
    )


def _payment(answer: Answer, target: Target | None, _viewer: Viewer) -> HflError:
    return PermissionDeniedError(
        f"The Hub asks for a paid plan{_about(target)}{_said(answer)}.",
        hint="Choose a free option, or change the account's plan on the Hub.",
    )


def _conflict(answer: Answer, target: Target | None, _viewer: Viewer) -> HflError:
    return ConflictError(f"The Hub reports a conflict{_about(target)}{_said(answer)}.")


def _moved(_answer: Answer, target: Target | None, _viewer: Viewer) -> HflError:
    if target is None:
        return ConflictError("What the request was based on has changed meanwhile.")
    return HeadMovedError(target.repo_id, target.revision or "main")


def _rate_limited(answer: Answer, target: Target | None, _viewer: Viewer) -> HflError:
    wait = requested_wait(answer)
    when = "" if wait is None else f" It asks to wait {wait:.0f} s."
    return RateLimitError(
        f"The Hub limits how often it may be asked{_about(target)}{_said(answer)}.{when}",
        retry_after=wait,
    )


def _absent(answer: Answer, target: Target | None, viewer: Viewer) -> HflError:
    return NotFoundError(
        f"{viewer.endpoint} has nothing there{_about(target)}{_said(answer)}.",
        hint="Check the name and the endpoint; an older Hub may lack the feature.",
    )


def _malformed(answer: Answer, target: Target | None, _viewer: Viewer) -> HflError:
    return ValidationError(f"The Hub does not accept the request{_about(target)}{_said(answer)}.")


def _timed_out(answer: Answer, target: Target | None, _viewer: Viewer) -> HflError:
    return NetworkError(f"The Hub gave up waiting for the request{_about(target)}{_said(answer)}.")


def _broken(answer: Answer, target: Target | None, viewer: Viewer) -> HflError:
    text = f"{viewer.endpoint} failed with status {answer.status}{_about(target)}{_said(answer)}."
    wait = requested_wait(answer) if answer.status == 503 else None
    if wait is not None:
        return RateLimitError(text, retry_after=wait)
    return NetworkError(text, hint="This is the Hub's own trouble; try again later.")


def _full(answer: Answer, target: Target | None, _viewer: Viewer) -> HflError:
    return DiskSpaceError(
        f"The Hub has no room{_about(target)}{_said(answer)}.",
        hint="See what uses it with: hfl repo storage",
    )


_BY_CODE: Mapping[str, Callable[[Answer, Target, Viewer], HflError]] = {
    "RepoNotFound": _repo_not_found,
    "RevisionNotFound": _revision_not_found,
    "EntryNotFound": _entry_not_found,
    "GatedRepo": _gated,
}
_BY_STATUS: Mapping[int, Callable[[Answer, Target | None, Viewer], HflError]] = {
    400: _malformed,
    401: _unauthorized,
    402: _payment,
    403: _forbidden,
    404: _absent,
    408: _timed_out,
    409: _conflict,
    412: _moved,
    422: _malformed,
    429: _rate_limited,
    507: _full,
}
