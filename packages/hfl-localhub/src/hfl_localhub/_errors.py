"""The answers that say no, as the Hub words them.

The clients look at the status, at ``X-Error-Code`` and at ``X-Error-Message``, and show
``X-Request-Id``; the body is ``{"error": "…"}``.
"""

from __future__ import annotations

from typing import Mapping

__all__ = [
    "HubError",
    "bad_request",
    "conflict",
    "entry_not_found",
    "forbidden",
    "gated",
    "invalid_token",
    "payload_too_large",
    "precondition_failed",
    "repo_not_found",
    "revision_not_found",
    "unauthorized",
]


class HubError(Exception):
    """A refusal that goes to the client as it is.

    Args:
        status: The HTTP status.
        message: One sentence for the person; goes into the body and ``X-Error-Message``.
        code: ``X-Error-Code``, by which clients choose their exception.
        headers: More response headers.
        body: More fields for the JSON body.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})
        self.body = dict(body or {})


def bad_request(message: str, *, code: str = "BadRequest") -> HubError:
    """What was sent makes no sense."""
    return HubError(400, message, code=code)


def invalid_token() -> HubError:
    """The token is unknown, expired or revoked."""
    return HubError(401, "Invalid credentials in Authorization header", code="InvalidToken")


def unauthorized(message: str = "Invalid username or password.") -> HubError:
    """Nobody is signed in, and somebody has to be."""
    return HubError(401, message, code="Unauthorized")


def forbidden(message: str) -> HubError:
    """Signed in, but without the right."""
    return HubError(403, message, code="Forbidden")


def repo_not_found(*, is_anonymous: bool) -> HubError:
    """The repository is not there, or hidden from who asks: both look the same."""
    if is_anonymous:
        return HubError(401, "Invalid username or password.", code="RepoNotFound")
    return HubError(404, "Repository not found", code="RepoNotFound")


def gated(repo_id: str, *, is_anonymous: bool) -> HubError:
    """The repository is there for those who were granted access."""
    status = 401 if is_anonymous else 403
    text = (
        f"Access to {repo_id} is restricted. You must have access to it and be authenticated"
        " to access it."
    )
    return HubError(status, text, code="GatedRepo")


def revision_not_found(revision: str) -> HubError:
    """The branch, tag or commit is not there."""
    return HubError(404, f"Invalid rev id: {revision}", code="RevisionNotFound")


def entry_not_found(path: str, *, commit: str | None = None) -> HubError:
    """The file or folder is not there; the commit lets clients remember that."""
    headers = {"X-Repo-Commit": commit} if commit else None
    return HubError(404, f'Entry "{path}" not found', code="EntryNotFound", headers=headers)


def conflict(message: str, **body: object) -> HubError:
    """What was asked for clashes with what exists."""
    return HubError(409, message, code="Conflict", body=body)


def precondition_failed(message: str) -> HubError:
    """The branch has moved since the client looked at it."""
    return HubError(412, message, code="PreconditionFailed")


def payload_too_large(message: str) -> HubError:
    """More was sent than the Hub takes in one request of this kind."""
    return HubError(413, message, code="PayloadTooLarge")
