"""What we know of profiles besides what huggingface_hub keeps: one small file without any token."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Mapping

from hfl_auth._endpoints import PUBLIC
from hfl_auth._tokens import fingerprint

FORMAT = 1


@dataclass
class Record:
    """One profile.

    Attributes:
        endpoint: The Hub that its token belongs to.
        storage: ``"file"`` or ``"keyring"``.
        account: Whose token it is.
        expires_at: When it expires, in seconds since 1970, if known.
        fingerprint: Of a token in the keyring: what it is recognised by elsewhere.
    """

    endpoint: str
    storage: str
    account: str | None = None
    expires_at: int | None = None
    fingerprint: str | None = None


@dataclass
class Records:
    """The file's content.

    Attributes:
        profiles: What is known of each profile, by name.
        homes: Which Hub a token belongs to, by the token's fingerprint. Not by profile: another
            program may put another Hub's token under the same name.
        active: The profile used with a Hub when nothing names another.
        endpoint: The Hub used when nothing names another.
        token_file: The fingerprint of what huggingface_hub's token file held when the above was
            written. Where it differs now, somebody has signed in or switched since, and that holds.
    """

    profiles: dict[str, Record] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    active: dict[str, str] = field(default_factory=dict)
    endpoint: str = PUBLIC
    token_file: str | None = None

    def home_of(self, token: str) -> str:
        """Return the Hub that a token belongs to: the public one unless it is known better."""
        return self.homes.get(fingerprint(token), PUBLIC)

    def forget_homes_but(self, tokens: set[str]) -> None:
        """Drop the fingerprints of all tokens but these and those in the keyring."""
        kept = {fingerprint(token) for token in tokens}
        kept.update(each.fingerprint for each in self.profiles.values() if each.fingerprint)
        self.homes = {print_: home for print_, home in self.homes.items() if print_ in kept}


def dump_records(records: Records) -> str:
    """Write the records as JSON."""
    content = {
        "format": FORMAT,
        "profiles": {name: vars(record) for name, record in sorted(records.profiles.items())},
        "homes": records.homes,
        "active": records.active,
        "endpoint": records.endpoint,
        "token_file": records.token_file,
    }
    return json.dumps(content, indent=1) + "\n"


def parse_records(text: str) -> Records:
    """Read what `dump_records` wrote.

    Raises:
        ValueError: It is something else, or of a later format.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError("it is not of a format that this version knows")
    profiles = {
        name: Record(
            endpoint=_text(each, "endpoint"),
            storage=_text(each, "storage"),
            account=each.get("account"),
            expires_at=each.get("expires_at"),
            fingerprint=each.get("fingerprint"),
        )
        for name, each in _table(content, "profiles").items()
    }
    return Records(
        profiles=profiles,
        homes=dict(_table(content, "homes")),
        active=dict(_table(content, "active")),
        endpoint=_text(content, "endpoint"),
        token_file=content.get("token_file"),
    )


def _table(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"its '{key}' is no table")  # noqa: TRY004  # one kind of error for all
    return value


def _text(content: Any, key: str) -> str:
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, str):
        raise ValueError(f"its '{key}' is no text")  # noqa: TRY004  # one kind of error for all
    return value
