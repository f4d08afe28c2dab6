"""Changing the token store: one process at a time, and no token without its Hub at any instant."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import Iterator, Mapping

from hfl_auth._credential import Secret
from hfl_auth._endpoints import PUBLIC, hub_endpoint
from hfl_auth._keyring import remove_from_keyring, store_in_keyring
from hfl_auth._paths import store_paths
from hfl_auth._records import Record, dump_records
from hfl_auth._secret_files import check_places, dump_sections, locked, write_private
from hfl_auth._snapshot import (
    EXPIRES,
    REFRESH,
    TOKEN,
    Snapshot,
    StoredProfile,
    read_under_lock,
    take_snapshot,
)
from hfl_auth._tokens import fingerprint
from hfl_core import translated_os_errors
from hfl_core.errors import ValidationError


class TokenStore:
    """The token store that the environment leads to.

    Args:
        environ: The environment; `os.environ` if None.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self.paths = store_paths(self._environ)

    def snapshot(self) -> Snapshot:
        """Read it."""
        return take_snapshot(self.paths)

    def save(self, name: str, record: Record, secret: Secret) -> None:
        """Write a profile, new or not, and make it the one in use.

        Args:
            name: Its name.
            record: What is known of it besides its secret.
            secret: Its secret.
        """
        with self.change() as change:
            replaced = change.records.profiles.get(name)
            change.bind(secret.token, record.endpoint)
            if record.storage == "keyring":
                store_in_keyring(name, record.endpoint, secret)
                record = dataclasses.replace(record, fingerprint=fingerprint(secret.token))
                change.drop_section(name)
            else:
                change.sections[name] = _to_section(secret)
            is_same_entry = replaced is not None and (replaced.storage, replaced.endpoint) == (
                record.storage,
                record.endpoint,
            )
            if replaced is not None and replaced.storage == "keyring" and not is_same_entry:
                remove_from_keyring(name, replaced.endpoint)
            change.records.profiles[name] = record
            change.activate(name, record.endpoint, secret, record.storage)

    def remove(self, name: str) -> StoredProfile:
        """Remove a profile, and its token from the token file.

        Raises:
            ProfileNotFoundError: There is none of that name.
        """
        with self.change() as change:
            profile = change.snapshot.profile(name)
            if profile.storage == "keyring":
                remove_from_keyring(name, profile.endpoint)
            change.drop_section(name)
            change.records.profiles.pop(name, None)
            active = change.records.active
            change.records.active = {hub: each for hub, each in active.items() if each != name}
            return profile

    def remove_token_file(self) -> None:
        """Remove huggingface_hub's active token, where no profile holds it."""
        with self.change() as change:
            change.write_token_file(None)

    def activate(self, name: str) -> StoredProfile:
        """Make a profile the one in use.

        Raises:
            ProfileNotFoundError: There is none of that name.
        """
        with self.change() as change:
            profile = change.snapshot.profile(name)
            secret = change.snapshot.secret(profile)
            change.activate(name, profile.endpoint, secret, profile.storage)
            return profile

    @contextlib.contextmanager
    def change(self) -> Iterator[Change]:
        """Change the store: everything is written when the block ends, nothing if it raises.

        Raises:
            ConflictError: Another process does not let go of it.
            HflError: What is there cannot be read, so nothing is written over it.
        """
        check_places(self.paths)
        with locked(self.paths):
            change = Change(read_under_lock(self.paths), self._environ)
            yield change
            change.write()


class Change:
    """A change under way.

    Args:
        snapshot: What is there.
        environ: The environment.
    """

    def __init__(self, snapshot: Snapshot, environ: Mapping[str, str]) -> None:
        self.snapshot = snapshot
        self.records = snapshot.records()
        self.sections = snapshot.sections()
        self._environ = environ
        self._sections_before = snapshot.sections()
        self._token = snapshot.peek()

    def bind(self, token: str, endpoint: str) -> None:
        """Note which Hub a token belongs to; on disk before the token is."""
        self.records.homes[fingerprint(token)] = endpoint

    def drop_section(self, name: str) -> None:
        """Drop a profile from huggingface_hub's file, and its token from the token file."""
        token = self.sections.pop(name, {}).get(TOKEN)
        if token is not None and token == self._token:
            self.write_token_file(None)

    def write_token_file(self, token: str | None) -> None:
        """Put another token into the token file, or remove it."""
        self._token = token
        self.records.token_file = None if token is None else fingerprint(token)

    def activate(self, name: str, endpoint: str, secret: Secret, storage: str) -> None:
        """Make a profile the one in use."""
        if storage == "file" and self._fits_token_file(endpoint):
            self._token = secret.token
        self.records.active[endpoint] = name
        self.records.endpoint = endpoint
        self.records.token_file = None if self._token is None else fingerprint(self._token)

    def renew(self, profile: StoredProfile, old: Secret, new: Secret) -> None:
        """Replace a profile's token by a newer one of the same account."""
        self.bind(new.token, profile.endpoint)
        if profile.storage == "keyring":
            store_in_keyring(profile.name, profile.endpoint, new)
        else:
            self.sections[profile.name] = _to_section(new)
        record = self.records.profiles.get(profile.name)
        if record is not None:
            record.expires_at = new.expires_at
            if profile.storage == "keyring":
                record.fingerprint = fingerprint(new.token)
        if self._token == old.token:
            is_as_we_left_it = self.records.token_file == fingerprint(old.token)
            self._token = new.token
            if is_as_we_left_it:
                self.records.token_file = fingerprint(new.token)

    def write(self) -> None:
        """Write what changed, in the order that `take_snapshot` relies on."""
        paths = self.snapshot.paths
        write_private(paths.ours, dump_records(self.records))
        if self.sections != self._sections_before:
            write_private(paths.stored_tokens, dump_sections(self.sections))
        if self._token is None:
            with translated_os_errors("remove the token"), contextlib.suppress(FileNotFoundError):
                paths.token.unlink()
        elif self._token != self.snapshot.peek():
            write_private(paths.token, self._token)
        held = {fields[TOKEN] for fields in self.sections.values() if fields.get(TOKEN)}
        self.records.forget_homes_but(held if self._token is None else {*held, self._token})
        write_private(paths.ours, dump_records(self.records))

    def _fits_token_file(self, endpoint: str) -> bool:
        """Say whether huggingface_hub, which knows no endpoints, may find a token there."""
        chosen = hub_endpoint(self._environ)
        if endpoint != (PUBLIC if chosen is None else chosen[0]):
            return False  # it would send the token to another Hub
        if endpoint == PUBLIC:
            return True
        # Later, without HF_ENDPOINT, it would send the token to the public Hub; so only in a
        # folder that somebody keeps for this Hub.
        if not (self._environ.get("HF_HOME") or self._environ.get("HF_TOKEN_PATH")):
            return False
        return self._token is None or self.records.home_of(self._token) == endpoint


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


def _to_section(secret: Secret) -> dict[str, str]:
    section = {TOKEN: secret.token}
    if secret.refresh_token is not None:
        section[REFRESH] = secret.refresh_token
    if secret.expires_at is not None:
        section[EXPIRES] = str(secret.expires_at)
    return section
