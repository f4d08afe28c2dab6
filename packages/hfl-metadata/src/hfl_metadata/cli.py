"""The commands ``hfl metadata …``; alone, ``hfl-metadata …``."""

from __future__ import annotations

import importlib
from typing import Dict, List

import click

from hfl_core.cli import main_for

__all__ = ["main", "metadata"]

# The module of each command, which holds it in its `COMMANDS`. It is imported when the command runs or
# is described, so that no command pays for the imports of another.
_MODULES: Dict[str, str] = {
    "diff": "_cli_diff",
    "export": "_cli_export",
    "show": "_cli_show",
}


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> List[str]:
        return sorted({*super().list_commands(ctx), *_MODULES})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"hfl_metadata.{_MODULES[cmd_name]}")
        command: click.Command = module.COMMANDS[cmd_name]
        return command


@click.group(cls=_Group)
def metadata() -> None:
    """Show, export and compare what is on record about runs."""


main = main_for(metadata)
