"""What can go wrong with tokens, profiles and identities.

::

    HflError
    ├── AuthError
    │   ├── TokenNotFoundError     (LookupError)  no place holds a token
    │   └── InvalidTokenError                     the Hub does not accept the token
    ├── NotFoundError
    │   └── ProfileNotFoundError   (LookupError)  no profile of that name
    └── PermissionDeniedError      (PermissionError)
        ├── InsecureFileError                     others can read the file that holds a token
        └── WrongAccountError                     the account may not act in that namespace

No error ever holds a token, only the name of the place it came from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from hfl_core.errors import AuthError, NotFoundError, PermissionDeniedError

__all__ = [
    "InsecureFileError",
    "InvalidTokenError",
    "ProfileNotFoundError",
    "TokenNotFoundError",
    "WrongAccountError",
]


class TokenNotFoundError(AuthError, LookupError):
    """No place that may hold a token holds one.

    Args:
        looked_in: The places in the order in which they were asked, as a person would name them.

    Attributes:
        looked_in: As given, as a tuple.

    Example:
        >>> print(TokenNotFoundError(["HF_TOKEN", "the keyring"]))
        No token was found. Looked in: HF_TOKEN, the keyring. Sign in with: hfl auth login
    """

    def __init__(self, looked_in: Sequence[str] = ()) -> None:
        places = f" Looked in: {', '.join(looked_in)}." if looked_in else ""
        super().__init__(f"No token was found.{places}", hint="Sign in with: hfl auth login")
        self.looked_in = tuple(looked_in)


class InvalidTokenError(AuthError):
    """The Hub does not accept the token: expired, revoked or mistyped.

    Args:
        source: The place the token came from, as a person would name it; never the token.
        endpoint: The address of the Hub that refused it.

    Attributes:
        source: As given.
        endpoint: As given.

    Example:
        >>> InvalidTokenError("HF_TOKEN", endpoint="http://127.0.0.1:8000").source
        'HF_TOKEN'
    """

    def __init__(self, source: str, *, endpoint: str) -> None:
        super().__init__(
            f"{endpoint} does not accept the token from {source}.",
            hint="It may be expired, revoked or mistyped. Sign in again with: hfl auth login",
        )
        self.source = source
        self.endpoint = endpoint


class ProfileNotFoundError(NotFoundError):
    """There is no profile of that name.

    Args:
        profile: The name that was asked for.
        available: The names that exist.

    Attributes:
        profile: As given.
        available: As given, sorted, as a tuple.

    Example:
        >>> print(ProfileNotFoundError("wrk", available=["work", "home"]).message)
        There is no profile 'wrk'. These exist: home, work.
    """

    def __init__(self, profile: str, *, available: Sequence[str] = ()) -> None:
        names = tuple(sorted(available))
        exist = f"These exist: {', '.join(names)}." if names else "None exists yet."
        super().__init__(
            f"There is no profile {profile!r}. {exist}",
            hint=f"Create it with: hfl auth login --profile {profile}",
        )
        self.profile = profile
        self.available = names


class InsecureFileError(PermissionDeniedError):
    """Other users of the machine can read or change a file that holds a token.

    Args:
        path: The file. Its message shows it below ``~`` where it lies in the home directory.
        mode: Its permission bits.

    Attributes:
        path: As given.
        mode: As given.

    Example:
        >>> print(InsecureFileError(Path("tokens.json"), mode=0o644).message)
        'tokens.json' holds a token and can be read or changed by others (mode 644).
    """

    def __init__(self, path: Path, *, mode: int) -> None:
        shown = _below_home(path)
        super().__init__(
            f"'{shown}' holds a token and can be read or changed by others (mode {mode:03o}).",
            hint=f"Keep it to yourself with: chmod 600 '{shown}'",
        )
        self.path = path
        self.mode = mode


class WrongAccountError(PermissionDeniedError):
    """The account that is signed in may not act in the namespace that was asked for.

    Args:
        namespace: The user or organisation that was asked for.
        account: The account that is signed in.
        allowed: The namespaces in which that account may act.

    Attributes:
        namespace: As given.
        account: As given.
        allowed: As given, as a tuple.

    Example:
        >>> print(WrongAccountError("acme", account="ann", allowed=["ann"]).message)
        'ann' may not write to 'acme'. It may write to: ann.
    """

    def __init__(self, namespace: str, *, account: str, allowed: Sequence[str] = ()) -> None:
        where = f"It may write to: {', '.join(allowed)}." if allowed else "It may only read."
        super().__init__(
            f"{account!r} may not write to {namespace!r}. {where}",
            hint="See which token is in use with: hfl auth explain",
        )
        self.namespace = namespace
        self.account = account
        self.allowed = tuple(allowed)


def _below_home(path: Path) -> str:
    # Messages end up in logs and issue reports, and a home directory names a person.
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except (RuntimeError, ValueError):  # no home is known, or the file lies elsewhere
        return path.as_posix()
