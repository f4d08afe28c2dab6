"""``hfl config``: what is set, where it comes from, and how to change it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, TypeVar

import click

from hfl_core.cli import Output, format_option

__all__ = ["config"]

_F = TypeVar("_F", bound=Callable[..., Any])


@click.group()
def config() -> None:
    """Show and change settings.

    A setting comes from the first of: an option of the command, an environment variable HFL_…, an .env
    file, the project's hfl.toml, the user's config.toml, the default.
    """


_for_user: Callable[[_F], _F] = click.option(
    "--user",
    "for_user",
    is_flag=True,
    help="Change the user's own file, which holds in every folder.",
)
_LABELS = {"name": "Setting", "value": "Value", "source": "From", "about": "About"}


@config.command("list")
@format_option
def list_(output: Output) -> None:
    """List all settings, their values, and where these come from.

    \b
    Examples:
      hfl config list
      hfl config list --format json
    """
    from hf_lifecycle._config import list_settings

    columns = {"name": "Setting", "value": "Value", "source": "From", "variable": "Variable"}
    output.rows(list_settings(Path.cwd()), columns)


@config.command()
@click.argument("name")
@format_option
def get(name: str, output: Output) -> None:
    """Show one setting. As a table, only its value is written, for scripts.

    \b
    Examples:
      hfl config get endpoint
      hfl config get timeout --format json
    """
    from hf_lifecycle._config import setting

    row = setting(Path.cwd(), name)
    if output.format == "table":
        value = row["value"]
        click.echo("" if value is None else str(value).lower() if value in (True, False) else value)
        output.note(f"From: {row['source']}")
        return
    output.record(row)


@config.command("set")
@click.argument("name")
@click.argument("value")
@_for_user
@format_option
def set_(name: str, value: str, for_user: bool, output: Output) -> None:
    """Write a setting into the project's hfl.toml.

    That is the nearest one, from this folder upwards; without one it is made here. Comments and everything
    else in the file stay as they are.

    \b
    Examples:
      hfl config set keep "last:3 | best:eval_loss"
      hfl config set timeout 60 --user
    """
    from hf_lifecycle._config import set_setting

    _show_change(set_setting(Path.cwd(), name, value, for_user=for_user), output)


@config.command()
@click.argument("name")
@_for_user
@format_option
def unset(name: str, for_user: bool, output: Output) -> None:
    """Take a setting out of the project's hfl.toml.

    \b
    Example:
      hfl config unset timeout --user
    """
    from hf_lifecycle._config import unset_setting

    _show_change(unset_setting(Path.cwd(), name, for_user=for_user), output)


@config.command()
@format_option
def path(output: Output) -> None:
    """Show which files hold settings here, the strongest first.

    \b
    Example:
      hfl config path
    """
    from hf_lifecycle._config import setting_files

    rows = setting_files(Path.cwd())
    output.rows(rows, {"what": "File", "path": "Path", "exists": "Exists"})


def _show_change(row: dict[str, Any], output: Output) -> None:
    output.record(row, labels={**_LABELS, "file": "File"})
    if row["source"] != row["file"] and row["source"] != "default":
        output.warn(f"The value that holds here comes from {row['source']}, which is stronger.")
