"""Errors that say what happened, what exists and what to do.

Every error of the project can be caught three ways: as itself, as its family (below) and,
where there is one, as the built-in exception that a reader would expect::

    HflError
    ├── ConfigError             (ValueError)       a setting or an argument makes no sense
    ├── ValidationError         (ValueError)       data does not satisfy what it has to
    ├── AuthError                                  not signed in, or the token is not accepted
    ├── PermissionDeniedError   (PermissionError)  signed in, but not allowed; or a gate refused
    ├── NotFoundError           (LookupError)      what was named does not exist
    ├── ConflictError                              what was asked for clashes with what exists
    ├── IncompatibleStateError  (ValueError)       a saved state does not fit the live objects
    ├── IntegrityError                             data on disk or in transit is damaged
    ├── DiskSpaceError          (OSError)          no room, or a quota is used up
    ├── NetworkError            (ConnectionError)  the other side did not answer properly
    │   └── RateLimitError                         the other side asks to come back later
    └── MissingExtraError       (ImportError)      an optional dependency is not installed
"""

from __future__ import annotations

import errno
from typing import ClassVar

from hfl_core._redact import mask_shapes

__all__ = [
    "AuthError",
    "ConfigError",
    "ConflictError",
    "DiskSpaceError",
    "HflError",
    "IncompatibleStateError",
    "IntegrityError",
    "MissingExtraError",
    "NetworkError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "ValidationError",
]


class HflError(Exception):
    """The base of every error that the project raises on purpose.

    Tokens, and whatever else is a secret by its shape, are masked in its text.

    Args:
        message: What happened and what exists, in one or two sentences.
        hint: What to do about it, or None when nothing useful can be said.

    Attributes:
        message: The text without the hint.
        hint: What to do about it, or None.
        exit_code: The status with which a command ends that meets this error.

    Example:
        >>> error = HflError("There is no run in 'runs/digits'.", hint="Check the path.")
        >>> str(error)
        "There is no run in 'runs/digits'. Check the path."
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        # Whatever a person passed may be in it, and Python prints the tracebacks of programs as they are.
        message = mask_shapes(message)
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} {self.hint}"

    def __reduce__(self) -> tuple[object, ...]:
        # The default would call __init__ with positional arguments only, which breaks errors
        # that cross a process boundary when a subclass takes keyword-only ones.
        attributes = dict(self.__dict__)
        if isinstance(self, OSError):  # these live in the C object and not in __dict__
            attributes.update(
                {name: getattr(self, name) for name in ("errno", "strerror", "filename")}
            )
        return (_rebuild, (type(self), self.args, attributes))


def _rebuild(
    cls: type[HflError], args: tuple[object, ...], attributes: dict[str, object]
) -> HflError:
    # Found by name, `cls.__new__` is LookupError's where a class derives from it and from OSError.
    maker = OSError if issubclass(cls, OSError) else cls
    error = maker.__new__(cls, *args)
    error.args = args
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


class ConfigError(HflError, ValueError):
    """A setting or an argument makes no sense."""

    exit_code = 2


class ValidationError(HflError, ValueError):
    """Data does not satisfy what it has to."""

    exit_code = 1


class AuthError(HflError):
    """Nobody is signed in, or the token is not accepted."""

    exit_code = 3


class PermissionDeniedError(HflError, PermissionError):
    """The action is known but not allowed, by rights or by a gate."""

    exit_code = 9


class NotFoundError(HflError, LookupError):
    """What was named does not exist."""

    exit_code = 4


class ConflictError(HflError):
    """What was asked for clashes with what exists."""

    exit_code = 6


class IncompatibleStateError(HflError, ValueError):
    """A saved state does not fit the live objects it should go into."""

    exit_code = 6


class IntegrityError(HflError):
    """Data on disk or in transit is damaged."""

    exit_code = 5


class DiskSpaceError(HflError, OSError):
    """No room is left, or a quota is used up.

    Args:
        message: What happened and what exists.
        hint: What to do about it.
        required: Bytes that the operation needs, if known.
        available: Bytes that are free, if known.
    """

    exit_code = 8

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        required: int | None = None,
        available: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno.ENOSPC
        self.required = required
        self.available = available


class NetworkError(HflError, ConnectionError):
    """The other side did not answer, or not properly."""

    exit_code = 7


class RateLimitError(NetworkError):
    """The other side asks to come back later.

    Args:
        message: What happened and what exists.
        hint: What to do about it.
        retry_after: Seconds to wait, as the other side asked, if it did.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class MissingExtraError(HflError, ImportError):
    """An optional dependency is not installed.

    Args:
        feature: What was asked for, as a noun: ``"compression"``.
        extra: What to install: ``"hfl-checkpoint[compression]"``.
    """

    def __init__(self, feature: str, *, extra: str) -> None:
        super().__init__(
            f"{feature[:1].upper()}{feature[1:]} needs an optional dependency that is not installed.",
            hint=f"Install it with: pip install '{extra}'",
        )
        self.feature = feature
        self.extra = extra
