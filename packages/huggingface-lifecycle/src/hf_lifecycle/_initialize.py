"""What ``hfl init`` does: somebody is signed in, and the folder says what it was told."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

import click

from hf_lifecycle._gitignore import read_ignore_file
from hf_lifecycle._settings_file import SettingsFile, read_project_file
from hfl_auth import AuthManager, Credential
from hfl_auth.cli import ensure_signed_in
from hfl_core import load_settings
from hfl_core.cli import Output
from hfl_core.errors import ConflictError, HflError

__all__ = ["Wishes", "initialize"]


@dataclass(frozen=True)
class Wishes:
    """What a folder is to be set up with; None leaves a thing as it is.

    Attributes:
        profile: The profile to act as.
        endpoint: The Hub to use.
        keep: Which checkpoints are kept, as `hfl_checkpoint.keep_from` reads it.
        ignored: Folders that git is to ignore.
    """

    profile: str | None = None
    endpoint: str | None = None
    keep: str | None = None
    ignored: Sequence[str] = ()


def initialize(
    folder: Path,
    output: Output,
    wishes: Wishes = Wishes(),  # it is frozen
    *,
    from_stdin: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """Sign in if need be, and write the folder's `hfl.toml` and `.gitignore`.

    Args:
        folder: The folder.
        output: Where to talk.
        wishes: What to set it up with.
        from_stdin: Read a token that is needed from standard input.
        yes: Do not ask before something that the file says is replaced.

    Returns:
        What is so now.

    Raises:
        ConfigError: A file or a wish makes no sense. Nothing was changed.
        ConflictError: The file says something else, and there is nobody to ask.
        AuthError: Nobody is signed in. No file was changed.
    """
    manager = AuthManager(wishes.profile, wishes.endpoint)
    file = read_project_file(folder)
    settings = _settings(wishes, manager)
    text = file.with_settings(settings)
    ignore = read_ignore_file(folder, wishes.ignored)
    _confirm(file, settings, yes=yes)
    identity = ensure_signed_in(manager, output, profile=wishes.profile, from_stdin=from_stdin)
    if text != file.text:
        file.write(text)
    if ignore.is_changed:
        ignore.write()
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
        "keep": load_settings(folder).keep,
        "ignored": list(wishes.ignored),
    }


def _settings(wishes: Wishes, manager: AuthManager) -> dict[str, str]:
    settings = {} if wishes.profile is None else {"profile": wishes.profile}
    if wishes.endpoint is not None:
        settings["endpoint"] = manager.endpoint  # in its one spelling
    if wishes.keep is not None:
        from hfl_checkpoint import keep_from

        keep_from(wishes.keep)  # else it is refused when the next training begins
        settings["keep"] = wishes.keep
    return settings


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
