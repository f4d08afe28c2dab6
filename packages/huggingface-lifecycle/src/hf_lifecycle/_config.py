"""What ``hfl config`` does: showing where each setting comes from, and changing the file that it is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hf_lifecycle._settings_file import NAME, SettingsFile, read_settings_file
from hfl_core import Settings, load_settings, settings_files
from hfl_core.errors import ConfigError, NotFoundError

__all__ = ["list_settings", "set_setting", "setting", "setting_files", "unset_setting"]


def list_settings(folder: Path) -> list[dict[str, Any]]:
    """List all settings that hold for a folder.

    Args:
        folder: The folder.

    Returns:
        One row per setting: its name, value and source, the variable that sets it, and what it does.

    Raises:
        ConfigError: A file or a variable says what is no setting.
    """
    settings = load_settings(folder)
    return [
        {
            "name": row.name,
            "value": getattr(settings, row.name),
            "source": settings.source(row.name),
            "variable": row.env,
            "about": row.doc,
        }
        for row in settings.fields()
    ]


def setting(folder: Path, name: str) -> dict[str, Any]:
    """Find one setting.

    Raises:
        ConfigError: There is no such setting.
    """
    load_settings(folder).source(name)  # raises for a name that is none
    return next(row for row in list_settings(folder) if row["name"] == name)


def setting_files(folder: Path) -> list[dict[str, Any]]:
    """Say which files hold settings for a folder, the strongest first."""
    files = settings_files(folder)
    named = (("project", files.project or folder / NAME), ("user", files.user))
    return [{"what": what, "path": str(path), "exists": path.exists()} for what, path in named]


def set_setting(folder: Path, name: str, text: str, *, for_user: bool = False) -> dict[str, Any]:
    """Write a setting into a file.

    Args:
        folder: The folder whose project file it goes to: the nearest one upwards, or a new one in it.
        name: The setting.
        text: Its value, as it would stand in the environment.
        for_user: Write it into the user's file instead.

    Returns:
        What holds now: the setting's row, and the file that was written.

    Raises:
        ConfigError: There is no such setting, the value is not what it takes, or the file cannot be
            changed without touching the rest. Nothing was changed.
    """
    value = Settings.parse(name, text)
    if name == "keep":
        from hfl_checkpoint import keep_from

        keep_from(value)  # else it is refused when the next training begins
    file = _file(folder, for_user=for_user)
    new = file.with_settings({name: str(value) if isinstance(value, Path) else value})
    if new != file.text:
        file.write(new)
    return {**setting(folder, name), "file": str(file.path)}


def unset_setting(folder: Path, name: str, *, for_user: bool = False) -> dict[str, Any]:
    """Take a setting out of a file.

    Args:
        folder: As for `set_setting`.
        name: The setting.
        for_user: Take it out of the user's file instead.

    Returns:
        What holds now, and the file that was written.

    Raises:
        ConfigError: There is no such setting.
        NotFoundError: The file does not set it.
    """
    load_settings(folder).source(name)
    file = _file(folder, for_user=for_user)
    if name not in file.values:
        source = load_settings(folder).source(name)
        raise NotFoundError(
            f"'{file.path}' does not set {name!r}.", hint=f"Its value comes from: {source}."
        )
    file.write(file.without(name))
    return {**setting(folder, name), "file": str(file.path)}


def _file(folder: Path, *, for_user: bool) -> SettingsFile:
    load_settings(folder)  # what is wrong with a file is said before it is changed
    files = settings_files(folder)
    path = files.user if for_user else files.project or folder / NAME
    if path.is_dir():
        raise ConfigError(f"'{path}' is a folder.", hint="Move it away: a file goes there.")
    return read_settings_file(path)
