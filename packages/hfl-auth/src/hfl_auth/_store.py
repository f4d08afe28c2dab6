"""The profiles of this machine: huggingface_hub's files, our records beside them, the keyring."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Iterator, Mapping

from hfl_auth._credential import Secret
from hfl_auth._endpoints import PUBLIC, hub_endpoint
from hfl_auth._keyring import keyring_secret, remove_from_keyring, store_in_keyring
from hfl_auth._paths import store_paths
from hfl_auth._records import Record, Records, dump_records, parse_records
from hfl_auth._secret_files import (
    dump_sections,
    locked,
    parse_sections,
    peek,
    read_private,
    write_private,
)
from hfl_auth._tokens import clean_token, fingerprint
from hfl_auth.errors import ProfileNotFoundError, shown_path
from hfl_core.errors import IntegrityError, ValidationError

_TOKEN, _REFRESH, _EXPIRES = "hf_token", "refresh_token", "expires_at"  # field names


@dataclass(frozen=True)
class StoredProfile:
    """A profile as it is stored; see `hfl_auth.Profile` for what each means."""

    name: str
    endpoint: str
    storage: str
    account: str | None
    expires_at: int | None
    secret: Secret | None  # None where only the keyring knows


class TokenStore:
    """The token store that the environment leads to, read anew by every call.

    Args:
        environ: The environment; `os.environ` if None.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self.paths = store_paths(self._environ)

    # -- reading ------------------------------------------------------------------------------

    def records(self) -> Records:
        """Return what we know of profiles besides."""
        text = read_private(self.paths.ours, holds="decides where tokens are sent")
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
        """Return huggingface_hub's profiles."""
        text = read_private(self.paths.stored_tokens)
        return {} if text is None else parse_sections(text, self.paths.stored_tokens)

    def token_file(self) -> str | None:
        """Return huggingface_hub's active token."""
        text = read_private(self.paths.token)
        if text is None or not text.strip():
            return None
        return clean_token(text, source=f"'{shown_path(self.paths.token)}'")

    def profiles(self) -> dict[str, StoredProfile]:
        """Return all profiles by name."""
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
        if records.endpoint not in records.active or self._token_file_print() != records.token_file:
            return None
        return records.endpoint

    # -- changing -----------------------------------------------------------------------------

    def save(self, name: str, record: Record, secret: Secret) -> None:
        """Write a profile, new or not, and make it the active one.

        Our records come first: at no instant is the token readable without its Hub.
        """
        with self._changing() as (records, sections):
            replaced = records.profiles.get(name)
            records.homes[fingerprint(secret.token)] = record.endpoint
            self._write_records(records)
            if record.storage == "keyring":
                store_in_keyring(name, record.endpoint, secret)
                fields = sections.pop(name, {})
                if fields.get(_TOKEN) and peek(self.paths.token) == fields[_TOKEN]:
                    self._remove_token_file(records)
            else:
                sections[name] = _to_section(secret)
            if replaced is not None and replaced.storage == "keyring":
                stale = (replaced.storage, replaced.endpoint) != (record.storage, record.endpoint)
                if stale:
                    remove_from_keyring(name, replaced.endpoint)
            records.profiles[name] = record
            self._write_sections(sections)
            self._activate(records, name, record.endpoint, secret, record.storage)
            self._prune(records, sections)
            self._write_records(records)

    def renew(self, profile: StoredProfile, old: Secret, new: Secret) -> None:
        """Replace a profile's token by a newer one of the same account. Called under `lock`."""
        records, sections = self.records(), self.sections()
        records.homes[fingerprint(new.token)] = profile.endpoint
        self._write_records(records)
        if profile.storage == "keyring":
            store_in_keyring(profile.name, profile.endpoint, new)
        else:
            sections[profile.name] = _to_section(new)
            self._write_sections(sections)
        if profile.name in records.profiles:
            records.profiles[profile.name].expires_at = new.expires_at
        if peek(self.paths.token) == old.token:
            is_ours = records.token_file == fingerprint(old.token)
            write_private(self.paths.token, new.token)
            if is_ours:
                records.token_file = fingerprint(new.token)
        self._prune(records, sections)
        self._write_records(records)

    def remove(self, name: str) -> StoredProfile:
        """Remove a profile, and its token from the token file.

        Raises:
            ProfileNotFoundError: There is none of that name.
        """
        with self._changing() as (records, sections):
            profile = self.profile(name)
            if profile.storage == "keyring":
                remove_from_keyring(name, profile.endpoint)
            fields = sections.pop(name, {})
            if fields.get(_TOKEN) and peek(self.paths.token) == fields[_TOKEN]:
                self._remove_token_file(records)
            self._write_sections(sections)
            records.profiles.pop(name, None)
            records.active = {hub: each for hub, each in records.active.items() if each != name}
            self._prune(records, sections)
            self._write_records(records)
            return profile

    def remove_token_file(self) -> None:
        """Remove huggingface_hub's active token, where no profile holds it."""
        with self._changing() as (records, _):
            self._remove_token_file(records)
            self._write_records(records)

    def activate(self, name: str) -> StoredProfile:
        """Make a profile the one that is used when nothing names another.

        Raises:
            ProfileNotFoundError: There is none of that name.
        """
        with self._changing() as (records, _):
            profile = self.profile(name)
            secret = self.secret(profile)
            self._activate(records, name, profile.endpoint, secret, profile.storage)
            self._write_records(records)
            return profile

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep everybody else from changing the store."""
        with locked(self.paths):
            yield

    @contextlib.contextmanager
    def _changing(self) -> Iterator[tuple[Records, dict[str, dict[str, str]]]]:
        with self.lock():
            yield self.records(), self.sections()

    def _activate(
        self, records: Records, name: str, endpoint: str, secret: Secret, storage: str
    ) -> None:
        if storage == "file" and self._fits_token_file(endpoint, records):
            write_private(self.paths.token, secret.token)
        records.active[endpoint] = name
        records.endpoint = endpoint
        records.token_file = self._token_file_print()

    def _fits_token_file(self, endpoint: str, records: Records) -> bool:
        """Say whether huggingface_hub, which knows no endpoints, may find this token there."""
        chosen = hub_endpoint(self._environ)
        if endpoint != (PUBLIC if chosen is None else chosen[0]):
            return False  # it would send the token to another Hub
        if endpoint == PUBLIC:
            return True
        # Later, without HF_ENDPOINT, it would send the token to the public Hub; so only in a
        # folder that somebody keeps for this Hub.
        if not (self._environ.get("HF_HOME") or self._environ.get("HF_TOKEN_PATH")):
            return False
        there = peek(self.paths.token)
        return there is None or records.home_of(there) == endpoint

    def _changed_since(self, records: Records, endpoint: str) -> bool:
        if self._token_file_print() == records.token_file:
            return False
        there = peek(self.paths.token)
        # Signing in to another Hub does not sign out of this one.
        return (PUBLIC if there is None else records.home_of(there)) == endpoint

    def _token_file_print(self) -> str | None:
        there = peek(self.paths.token)
        return None if there is None else fingerprint(there)

    def _prune(self, records: Records, sections: dict[str, dict[str, str]]) -> None:
        tokens = {fields[_TOKEN] for fields in sections.values() if fields.get(_TOKEN)}
        there = peek(self.paths.token)
        records.forget_homes_but(tokens if there is None else {*tokens, there})

    def _remove_token_file(self, records: Records) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.paths.token.unlink()
        records.token_file = None

    def _write_sections(self, sections: dict[str, dict[str, str]]) -> None:
        if sections or self.paths.stored_tokens.exists():
            write_private(self.paths.stored_tokens, dump_sections(sections))

    def _write_records(self, records: Records) -> None:
        write_private(self.paths.ours, dump_records(records))


def check_profile_name(name: str) -> str:
    """Return a profile's name if it can be a section of huggingface_hub's file.

    Raises:
        ValidationError: It cannot.
    """
    stripped = name.strip()
    if not stripped or any(not each.isprintable() or each in "[]" for each in stripped):
        raise ValidationError(
            f"{name!r} cannot be the name of a profile.",
            hint="Use letters, digits, spaces, dashes and dots.",
        )
    if stripped == "DEFAULT":
        raise ValidationError(
            "'DEFAULT' cannot be the name of a profile: huggingface_hub's file reserves it.",
            hint="Use another name, such as 'default'.",
        )
    return stripped


def _from_section(name: str, fields: Mapping[str, str], records: Records) -> StoredProfile | None:
    token = fields.get(_TOKEN, "").strip()
    if not token:
        return None
    record = records.profiles.get(name)
    is_ours = record is not None and fingerprint(token) in records.homes
    expires = _number(fields.get(_EXPIRES))
    if expires is None and is_ours and record is not None:
        expires = record.expires_at
    return StoredProfile(
        name=name,
        endpoint=records.home_of(token),
        storage="file",
        account=record.account if is_ours and record is not None else None,
        expires_at=expires,
        secret=Secret(token, fields.get(_REFRESH) or None, expires),
    )


def _to_section(secret: Secret) -> dict[str, str]:
    section = {_TOKEN: secret.token}
    if secret.refresh_token is not None:
        section[_REFRESH] = secret.refresh_token
    if secret.expires_at is not None:
        section[_EXPIRES] = str(secret.expires_at)
    return section


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
