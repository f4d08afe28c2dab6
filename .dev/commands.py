"""The command `hfl` with all commands at hand: what writes documentation looks there, and imports nothing late."""

from __future__ import annotations

import click

from hfl_cli.cli import hfl


def whole(command: click.Command) -> click.Command:
    """Copy a command; a group gets all of its commands, down to the last."""
    if not isinstance(command, click.Group):
        return command
    context = click.Context(command, info_name=command.name)
    found = {name: command.get_command(context, name) for name in command.list_commands(context)}
    commands = {name: whole(each) for name, each in found.items() if each is not None}
    return click.Group(command.name, help=command.help, params=command.params, commands=commands)


everything = whole(hfl)
