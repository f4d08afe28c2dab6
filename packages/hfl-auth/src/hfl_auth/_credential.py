"""What the rest gets to see: a credential, a profile, and where a token was looked for."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Literal

from hfl_auth._tokens import mask_token

SourceName = Literal[
    "argument", "environment", "project file", "profile", "token file", "keyring", "colab"
]
Storage = Literal["file", "keyring"]


@dataclass(frozen=True)
class Credential:
    """What to act with on the Hub.

    Attributes:
        token: The token, or None: nobody is signed in, and only what is public can be read.
        source: The kind of place it came from (see `SourceReport.source`), or ``"none"``.
        profile: The profile that it belongs to, if any.
        detail: The very place, as a person would name it: ``"HF_TOKEN"``.
        endpoint: The Hub that it is for.
        expires_at: When it expires, if that is known.

    Example:
        >>> print(Credential("hf_abcdefghijklmnopqrstuvwxyz", "environment", None))
        Credential(token='hf_abc…wxyz', source='environment', profile=None)
    """

    token: str | None
    source: str
    profile: str | None
    detail: str = ""
    endpoint: str = ""
    expires_at: dt.datetime | None = None

    def __repr__(self) -> str:
        shown = None if self.token is None else mask_token(self.token)
        return f"Credential(token={shown!r}, source={self.source!r}, profile={self.profile!r})"

    @property
    def masked(self) -> str | None:
        """The token as it may be shown."""
        return None if self.token is None else mask_token(self.token)

    @property
    def place(self) -> str:
        """The place the token came from, for a sentence."""
        return self.detail or self.source


@dataclass(frozen=True)
class Profile:
    """An account that this machine knows.

    Attributes:
        name: The profile's name.
        endpoint: The Hub that its token belongs to, and the only one that gets it.
        storage: Where the token is: ``"file"`` or ``"keyring"``.
        is_active: Whether it is the one used with its Hub when nothing names another.
        account: Whose token it is, if known.
        token: The token, masked; None where only the keyring knows.
        expires_at: When the token expires, if that is known.
    """

    name: str
    endpoint: str
    storage: Storage
    is_active: bool = False
    account: str | None = None
    token: str | None = None
    expires_at: dt.datetime | None = None


@dataclass(frozen=True)
class SourceReport:
    """One place a token may come from, and what became of it.

    Attributes:
        source: The kind of place, in the order in which they are asked: ``"argument"``,
            ``"environment"``, ``"project file"``, ``"profile"``, ``"token file"``, ``"keyring"``,
            ``"colab"``.
        status: ``"used"``; ``"overridden"``: it holds a token, and an earlier place does, too;
            ``"refused"``: what it holds may not be used; ``"absent"``: it holds none.
        detail: The very place: a variable, a file, a profile.
        reason: Why it wins or loses.
        profile: The profile that it names, if any.
        token: Its token, masked; None where there is none or it was not read.
    """

    source: SourceName
    status: Literal["used", "overridden", "refused", "absent"]
    detail: str
    reason: str
    profile: str | None = None
    token: str | None = None


@dataclass(frozen=True)
class Secret:
    """A token with what is needed to renew it. Never shown, never logged."""

    token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: int | None = None  # seconds since 1970, as huggingface_hub stores it

    @property
    def expiry(self) -> dt.datetime | None:
        """The time at which the token expires, if known."""
        return moment(self.expires_at)


def moment(seconds: float | None) -> dt.datetime | None:
    """Turn seconds since 1970 into a time, or None."""
    if seconds is None:
        return None
    try:
        return dt.datetime.fromtimestamp(seconds, tz=dt.timezone.utc)
    except (OverflowError, OSError, ValueError):  # a damaged entry is no expiry
        return None
