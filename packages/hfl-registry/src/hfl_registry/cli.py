"""The commands ``hfl model …``; alone, ``hfl-model …``."""

from __future__ import annotations

import importlib
from typing import Dict

import click

from hfl_core.cli import main_for

__all__ = ["main", "model"]

# The module of each command, which holds it in its `COMMANDS`. It is imported when the command runs or
# is described, so that no command pays for the imports of another.
_MODULES: Dict[str, str] = {
    "card": "_cli_look",
    "list": "_cli_look",
    "load": "_cli_look",
    "publish": "_cli_send",
    "register": "_cli_send",
    "show": "_cli_look",
    "stage": "_cli_stage",
    "stages": "_cli_stage",
    "validate": "_cli_send",
}


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_MODULES})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"hfl_registry.{_MODULES[cmd_name]}")
        command: click.Command = module.COMMANDS[cmd_name]
        return command


@click.group(cls=_Group)
def model() -> None:
    """Register, validate, publish and load models."""


main = main_for(model)
