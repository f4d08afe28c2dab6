"""The commands ``hfl checkpoint …``; alone, ``hfl-checkpoint …``."""

from __future__ import annotations

import importlib
from typing import Dict

import click

from hfl_core.cli import main_for

__all__ = ["checkpoint", "main"]

# The module of each command, which holds it in its `COMMANDS`. It is imported when the command runs or
# is described, so that no command pays for the imports of another.
_MODULES: Dict[str, str] = {
    "clean": "_cli_keep",
    "compare": "_cli_compare",
    "diff": "_cli_diff",
    "download": "_cli_hub",
    "export": "_cli_foreign",
    "import": "_cli_foreign",
    "list": "_cli_look",
    "pin": "_cli_keep",
    "promote": "_cli_hub",
    "prove": "_cli_prove",
    "push": "_cli_hub",
    "show": "_cli_look",
    "unpin": "_cli_keep",
    "upload": "_cli_hub",
    "verify": "_cli_verify",
}


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_MODULES})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"hfl_checkpoint.{_MODULES[cmd_name]}")
        command: click.Command = module.COMMANDS[cmd_name]
        return command


@click.group(cls=_Group)
def checkpoint() -> None:
    """Find, compare, verify, keep and share the checkpoints of a run."""


main = main_for(checkpoint)
