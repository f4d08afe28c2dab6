"""What can go wrong with tokens, profiles and identities.

::

    HflError
    ├── AuthError
    │   ├── TokenNotFoundError     (LookupError)  no place holds a token
    │   ├── InvalidTokenError                     the Hub does not accept the token
    │   ├── MalformedTokenError    (ValueError)   what was given is no token
    │   ├── WrongEndpointError                    the token belongs to another Hub
    │   └── LoginError                            signing in with the browser did not work
    ├── NotFoundError
    │   └── ProfileNotFoundError   (LookupError)  no profile of that name
    └── PermissionDeniedError      (PermissionError)
        ├── InsecureFileError                     others can read the file that holds a token
        └── WrongAccountError                     the account may not act in that namespace

No error ever holds a token, only the name of the place it came from.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Sequence

from hfl_core.errors import AuthError, NotFoundError, PermissionDeniedError

__all__ = [
    "InsecureFileError",
    "InvalidTokenError",
    "LoginError",
    "MalformedTokenError",
    "ProfileNotFoundError",
    "TokenNotFoundError",
    "WrongAccountError",
    "WrongEndpointError",
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


class MalformedTokenError(AuthError, ValueError):
    """What was given is no token, whatever the Hub may say.

    Args:
        source: The place it came from, as a person would name it; never what was given.
        reason: Why it is none, as it reads after a colon.

    Attributes:
        source: As given.
        reason: As given.

    Example:
        >>> print(MalformedTokenError("HF_TOKEN", reason="it is an address").message)
        What HF_TOKEN holds is no token: it is an address.
    """

    def __init__(self, source: str, *, reason: str) -> None:
        super().__init__(
            f"What {source} holds is no token: {reason}.",
            hint="Copy the token again; it looks like hf_… and has no spaces.",
        )
        self.source = source
        self.reason = reason


class WrongEndpointError(AuthError):
    """The token belongs to another Hub than the one that is talked to, so it is not sent.

    Args:
        what: Whose token, as a sentence begins: ``"The profile 'work'"``.
        home: The Hub that it belongs to.
        endpoint: The Hub that it was to be sent to.
        named_by: Where that Hub is named, if somewhere.
        profile: The profile's name, for the hint.

    Attributes:
        home: As given.
        endpoint: As given.

    Example:
        >>> error = WrongEndpointError(
        ...     "The profile 'work'", home="https://huggingface.co", endpoint="http://127.0.0.1:8000"
        ... )
        >>> print(error.message)
        The profile 'work' belongs to https://huggingface.co, so it is not used with http://127.0.0.1:8000.
    """

    def __init__(
        self,
        what: str,
        *,
        home: str,
        endpoint: str,
        named_by: str | None = None,
        profile: str | None = None,
    ) -> None:
        where = f" (from {named_by})" if named_by else ""
        option = f" --profile {profile}" if profile else ""
        super().__init__(
            f"{what} belongs to {home}, so it is not used with {endpoint}{where}.",
            hint=(
                f"Sign in there with: hfl auth login --endpoint {endpoint}, "
                f"or stay with its own Hub: --endpoint {home}{option}"
            ),
        )
        self.home = home
        self.endpoint = endpoint


class LoginError(AuthError):
    """Signing in with the browser did not work: denied, too late, or the Hub cannot do it."""


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
        holds: What makes it worth protecting.

    Attributes:
        path: As given.
        mode: As given.

    Example:
        >>> print(InsecureFileError(Path("tokens.json"), mode=0o644).message)
        'tokens.json' holds a token and can be read or changed by others (mode 644).
    """

    def __init__(self, path: Path, *, mode: int, holds: str = "holds a token") -> None:
        shown = shown_path(path)
        super().__init__(
            f"'{shown}' {holds} and can be read or changed by others (mode {mode:03o}).",
            hint=f"Keep it to yourself with: chmod 600 {_for_a_shell(shown)}",
        )
        self.path = path
        self.mode = mode


class WrongAccountError(PermissionDeniedError):
    """The account that is signed in may not act in the namespace that was asked for.

    Args:
        namespace: The user or organisation that was asked for.
        account: The account that is signed in.
        allowed: The namespaces in which that account may act.
        orgs: The organizations that it belongs to.

    Attributes:
        namespace: As given.
        account: As given.
        allowed: As given, as a tuple.
        orgs: As given, as a tuple.

    Example:
        >>> print(WrongAccountError("acme", account="ann", allowed=["ann"]).message)
        'ann' may not write to 'acme'. It may write to: ann.
    """

    def __init__(
        self, namespace: str, *, account: str, allowed: Sequence[str] = (), orgs: Sequence[str] = ()
    ) -> None:
        where = f"It may write to: {', '.join(allowed)}." if allowed else "It may only read."
        others = [org for org in orgs if org not in allowed]
        if others:
            where = f"{where} It also belongs to: {', '.join(others)}."
        super().__init__(
            f"{account!r} may not write to {namespace!r}. {where}",
            hint="See which token is in use with: hfl auth explain",
        )
        self.namespace = namespace
        self.account = account
        self.allowed = tuple(allowed)
        self.orgs = tuple(orgs)


def shown_path(path: Path) -> str:
    """Return a path as messages show it: they end up in logs, and a home directory names a person."""
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except (
        KeyError,
        RuntimeError,
        ValueError,
    ):  # no home is known (Python 3.8: KeyError), or the file lies elsewhere
        return path.as_posix()


def _for_a_shell(shown: str) -> str:
    # A shell leaves a quoted ~ alone, and the command would then name a file that is not there.
    return f"~/{shlex.quote(shown[2:])}" if shown.startswith("~/") else shlex.quote(shown)
