"""What ``hfl init`` does: somebody is signed in, and the folder says what it was told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from hf_lifecycle._settings_file import SettingsFile, read_project_file
from hfl_auth import AuthManager, Credential
from hfl_auth.cli import ensure_signed_in
from hfl_core.cli import Output
from hfl_core.errors import ConflictError, HflError

__all__ = ["initialize"]


def initialize(
    folder: Path,
    output: Output,
    *,
    profile: str | None = None,
    endpoint: str | None = None,
    from_stdin: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """Sign in if need be, and write the folder's `hfl.toml`.

    Args:
        folder: The folder.
        output: Where to talk.
        profile: The profile to act as in this folder.
        endpoint: The Hub to use in this folder.
        from_stdin: Read a token that is needed from standard input.
        yes: Do not ask before something that the file says is replaced.

    Returns:
        What is so now.

    Raises:
        ConfigError: The file or an address makes no sense. Nothing was changed.
        ConflictError: The file says something else, and there is nobody to ask.
        AuthError: Nobody is signed in. The file was not changed.
    """
    manager = AuthManager(profile, endpoint)
    file = read_project_file(folder)
    settings = {} if profile is None else {"profile": profile}
    if endpoint is not None:
        settings["endpoint"] = manager.endpoint  # in its one spelling
    text = file.with_settings(settings)
    _confirm(file, settings, yes=yes)
    identity = ensure_signed_in(manager, output, profile=profile, from_stdin=from_stdin)
    if text != file.text:
        file.write(text)
    if file.text is None and file.shadowed is not None:
        output.warn(
            f"'{file.shadowed}' does not hold in this folder any more: the nearest one does."
        )
    credential = manager.credential()
    _warn_if_not_used(credential, output)
    return {
        "file": str(file.path),
        "status": _status(file.text, text),
        "account": identity.name,
        "endpoint": identity.endpoint,
        "profile": credential.profile,
        "source": credential.source,
        "detail": credential.detail,
    }


def _status(before: str | None, after: str) -> str:
    if before is None:
        return "created"
    return "unchanged" if before == after else "changed"


def _warn_if_not_used(credential: Credential, output: Output) -> None:
    """Say so where something stronger than the file, such as HFL_PROFILE, leads elsewhere."""
    try:
        used = AuthManager().credential()
    except HflError as error:
        output.warn(error.message)
        return
    if (used.token, used.endpoint) != (credential.token, credential.endpoint):
        output.warn(f"{used.place} comes first here. See: hfl auth explain")


def _confirm(file: SettingsFile, settings: dict[str, str], *, yes: bool) -> None:
    conflicts = file.conflicts(settings)
    if not conflicts or yes:
        return
    said = " and ".join(f"{name} = {value!r}" for name, value in conflicts.items())
    wanted = " and ".join(f"{name} = {settings[name]!r}" for name in conflicts)
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConflictError(
            f"'{file.path}' says {said}, not {wanted}. Nothing was changed.",
            hint="Replace it with --yes, or leave the option out.",
        )
    click.confirm(f"'{file.path}' says {said}. Replace it by {wanted}?", abort=True, err=True)
