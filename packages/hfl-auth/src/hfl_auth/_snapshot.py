"""The token store as it was at one instant: which profiles there are, and which one is in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

from hfl_auth._credential import Profile, Secret, moment
from hfl_auth._endpoints import PUBLIC
from hfl_auth._keyring import keyring_secret
from hfl_auth._paths import StorePaths
from hfl_auth._records import Records, parse_records
from hfl_auth._secret_files import Content, locked, parse_sections, read_content
from hfl_auth._tokens import clean_token, fingerprint, mask_token
from hfl_auth.errors import ProfileNotFoundError, shown_path
from hfl_core.errors import IntegrityError

TOKEN, REFRESH, EXPIRES = "hf_token", "refresh_token", "expires_at"  # huggingface_hub's names
_TRIES = 20


@dataclass(frozen=True)
class StoredProfile:
    """A profile as it is stored; see `hfl_auth.Profile` for what each means."""

    name: str
    endpoint: str
    storage: str
    account: str | None
    expires_at: int | None
    secret: Secret | None  # None where only the keyring knows


class Snapshot:
    """What the files held. What is wrong with one is raised by whoever needs that one.

    Args:
        paths: Where the files are.
        token: The token file.
        stored: huggingface_hub's profiles.
        ours: Our records.
    """

    def __init__(
        self, paths: StorePaths, *, token: Content, stored: Content, ours: Content
    ) -> None:
        self.paths = paths
        self._token = token
        self._stored = stored
        self._ours = ours

    def records(self) -> Records:
        """Return what we know of profiles besides.

        Raises:
            InsecureFileError: Others can change it.
            IntegrityError: It cannot be understood.
        """
        text = self._ours.checked()
        if text is None:
            return Records()
        try:
            return parse_records(text)
        except ValueError as error:
            raise IntegrityError(
                f"'{shown_path(self.paths.ours)}' cannot be understood, so no profile is used.",
                hint="Update hfl-auth, or move the file away and sign in again.",
            ) from error

    def sections(self) -> dict[str, dict[str, str]]:
        """Return huggingface_hub's profiles; raises what `records` does."""
        text = self._stored.checked()
        return {} if text is None else parse_sections(text, self.paths.stored_tokens)

    def token_file(self) -> str | None:
        """Return huggingface_hub's active token.

        Raises:
            InsecureFileError: Others can read it.
            MalformedTokenError: It is no token.
        """
        text = self._token.checked()
        if text is None or not text.strip():
            return None
        return clean_token(text, source=f"'{shown_path(self.paths.token)}'")

    def peek(self) -> str | None:
        """Return what the token file holds, only to compare it, whoever else can read it."""
        return (self._token.text or "").strip() or None

    def profiles(self) -> dict[str, StoredProfile]:
        """Return all profiles by name; raises what `records` does."""
        records = self.records()
        found: dict[str, StoredProfile] = {}
        for name, record in records.profiles.items():
            if record.storage == "keyring":
                found[name] = StoredProfile(
                    name, record.endpoint, "keyring", record.account, record.expires_at, None
                )
        # A section of the same name is younger: our own login would have removed it.
        for name, fields in self.sections().items():
            stored = _from_section(name, fields, records)
            if stored is not None:
                found[name] = stored
        return dict(sorted(found.items()))

    def profile(self, name: str) -> StoredProfile:
        """Return one profile.

        Raises:
            ProfileNotFoundError: There is none of that name.
        """
        profiles = self.profiles()
        if name not in profiles:
            raise ProfileNotFoundError(name, available=list(profiles))
        return profiles[name]

    def owner_of(self, token: str | None) -> StoredProfile | None:
        """Return the profile whose token this is."""
        for profile in self.profiles().values() if token is not None else ():
            if profile.secret is not None and profile.secret.token == token:
                return profile
        return None

    def secret(self, profile: StoredProfile) -> Secret:
        """Return a profile's secret.

        Raises:
            ProfileNotFoundError: The keyring has lost it.
        """
        if profile.secret is not None:
            return profile.secret
        secret = keyring_secret(profile.name, profile.endpoint)
        if secret is None:
            others = [name for name in self.profiles() if name != profile.name]
            raise ProfileNotFoundError(profile.name, available=others)
        return secret

    def active(self, endpoint: str) -> StoredProfile | None:
        """Return the profile that is used with a Hub when nothing names another."""
        records = self.records()
        name = records.active.get(endpoint)
        if name is None or self._changed_since(records, endpoint):
            return None
        profile = self.profiles().get(name)
        return profile if profile is not None and profile.endpoint == endpoint else None

    def current_endpoint(self) -> str | None:
        """Return the Hub that is used when nothing names another, if somebody switched to it."""
        records = self.records()
        if records.endpoint not in records.active or self.token_file_print() != records.token_file:
            return None
        return records.endpoint

    def token_file_print(self) -> str | None:
        """Return the fingerprint of what the token file holds."""
        there = self.peek()
        return None if there is None else fingerprint(there)

    def _changed_since(self, records: Records, endpoint: str) -> bool:
        if self.token_file_print() == records.token_file:
            return False
        there = self.peek()
        # Signing in to another Hub does not sign out of this one.
        return (PUBLIC if there is None else records.home_of(there)) == endpoint


def take_snapshot(paths: StorePaths) -> Snapshot:
    """Read the store without locking it.

    A token must never be seen without the Hub it belongs to. Writers note the Hub before the token
    appears and forget it after the token is gone; so what is read here fits together if the tokens
    are the same before and after the Hubs are read.

    Args:
        paths: Where the files are.

    Returns:
        The store as it was at one instant.
    """
    for _ in range(_TRIES):
        token, stored = read_content(paths.token), read_content(paths.stored_tokens)
        ours = read_content(paths.ours, holds="decides where tokens are sent")
        if (token.text, stored.text) == (
            read_content(paths.token).text,
            read_content(paths.stored_tokens).text,
        ):
            return Snapshot(paths, token=token, stored=stored, ours=ours)
    with locked(paths):
        return read_under_lock(paths)


def read_under_lock(paths: StorePaths) -> Snapshot:
    """Read the store while nobody else can change it."""
    return Snapshot(
        paths,
        token=read_content(paths.token),
        stored=read_content(paths.stored_tokens),
        ours=read_content(paths.ours, holds="decides where tokens are sent"),
    )


def public_profile(snapshot: Snapshot, stored: StoredProfile) -> Profile:
    """Return a profile as it may be shown."""
    active = snapshot.active(stored.endpoint) or snapshot.owner_of(snapshot.peek())
    return Profile(
        name=stored.name,
        endpoint=stored.endpoint,
        storage="keyring" if stored.storage == "keyring" else "file",
        is_active=active is not None and active.name == stored.name,
        account=stored.account,
        token=None if stored.secret is None else mask_token(stored.secret.token),
        expires_at=moment(stored.expires_at),
    )


def _from_section(name: str, fields: Mapping[str, str], records: Records) -> StoredProfile | None:
    token = fields.get(TOKEN, "").strip()
    if not token:
        return None
    record = records.profiles.get(name)
    if record is not None and fingerprint(token) not in records.homes:
        record = None  # another program put another token under this name
    expires = _number(fields.get(EXPIRES))
    if expires is None and record is not None:
        expires = record.expires_at
    return StoredProfile(
        name=name,
        endpoint=records.home_of(token),
        storage="file",
        account=None if record is None else record.account,
        expires_at=expires,
        secret=Secret(token, fields.get(REFRESH) or None, expires),
    )


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
