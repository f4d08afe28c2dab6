"""What can be wrong with what a Xet client sends; each becomes one HTTP status."""

from __future__ import annotations

from hfl_core.errors import (
    AuthError,
    IntegrityError,
    NotFoundError,
    PermissionDeniedError,
    ValidationError,
)


class XetFormatError(ValidationError):
    """A xorb, a shard or a parameter does not have the form that the protocol asks for."""


class XetTooLargeError(ValidationError):
    """A xorb or a shard is larger than the protocol allows."""


class XetMismatchError(IntegrityError):
    """The bytes are well formed but are not what their sender says they are."""


class XetNotFoundError(NotFoundError):
    """There is no such file, xorb or chunk."""


class XetRangeError(ValidationError):
    """The range starts behind the end.

    Args:
        message: What was asked for.
        size: How many bytes there are.
    """

    def __init__(self, message: str, *, size: int) -> None:
        super().__init__(message)
        self.size = size


class XetTokenError(AuthError):
    """The token is missing, forged, expired, or another Hub's."""


class XetScopeError(PermissionDeniedError):
    """The token is good, but not for this."""
