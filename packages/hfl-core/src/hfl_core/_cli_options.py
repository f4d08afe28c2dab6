"""The options that every command takes, wherever they are written."""

from __future__ import annotations

import copy
import difflib
from typing import Any

import click

from hfl_core._version import __version__

_KEY = "hfl_core.cli"


class SharedState:
    """What the shared options said; one per run, found through `ctx.meta`."""

    def __init__(self) -> None:
        self.verbosity = 0
        self.is_debug = False


def state_of(context: click.Context) -> SharedState:
    """Return the run's shared state, made on first use."""
    state: SharedState = context.meta.setdefault(_KEY, SharedState())
    return state


def verbosity_of(context: click.Context) -> int:
    """Return how much was asked for: 0 by default, more with `-v`, less with `-q`."""
    return state_of(context).verbosity


def with_shared_options(command: click.Command, state: SharedState) -> click.Command:
    """Return a copy of a command that also takes `-v`, `-q`, `--debug` and `--version`.

    Subcommands take them too (but `--version`), out of sight, so that `hfl run list -v` works as
    well as `hfl -v run list`. An option that a command has itself stays its own.

    Args:
        command: A command or a group; it is left as it is.
        state: Where the options put what they are told.

    Returns:
        The copy.
    """
    return _extended(command, [*_options(state, hidden=False), _version_option()], state)


def _extended(
    command: click.Command, options: list[click.Option], state: SharedState
) -> click.Command:
    clone = copy.copy(command)
    taken = {name for param in command.params for name in [*param.opts, *param.secondary_opts]}
    clone.params = [*command.params, *(o for o in options if not taken.intersection(o.opts))]
    if isinstance(command, click.Group):
        kind = type(command)
        clone.__class__ = type(kind.__name__, (_SharedGroup, kind), {"_shared_state": state})
    return clone


class _SharedGroup(click.Group):
    _shared_state: SharedState

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is None:
            return None
        state = self._shared_state
        return _extended(command, _options(state, hidden=True), state)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=3)
            if near:
                guesses = " or ".join(f"'{each}'" for each in near)
                raise click.UsageError(f"No such command '{name}'. Did you mean {guesses}?", ctx)
        return super().resolve_command(ctx, args)


def _options(state: SharedState, *, hidden: bool) -> list[click.Option]:
    def louder(ctx: click.Context, _param: click.Parameter, count: int) -> None:
        _change(ctx, state, count)

    def quieter(ctx: click.Context, _param: click.Parameter, count: int) -> None:
        _change(ctx, state, -count)

    def debug(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        ctx.meta[_KEY] = state
        state.is_debug = state.is_debug or value

    common: dict[str, Any] = {"expose_value": False, "is_eager": True, "hidden": hidden}
    return [
        click.Option(
            ["-v", "--verbose"],
            count=True,
            callback=louder,
            help="Say more; twice for every detail.",
            **common,
        ),
        click.Option(
            ["-q", "--quiet"],
            count=True,
            callback=quieter,
            help="Say only what is wrong.",
            **common,
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            callback=debug,
            help="Show where an error came from.",
            **common,
        ),
    ]


def _version_option() -> click.Option:
    def show(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            click.echo(f"{ctx.find_root().info_name} {__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show the version and exit.",
    )


def _change(ctx: click.Context, state: SharedState, by: int) -> None:
    ctx.meta[_KEY] = state
    if by:
        state.verbosity += by
        configure(state)


def configure(state: SharedState) -> None:
    """Set logging up as the options and, without them, the setting `log_level` say."""
    from hfl_core._log import configure_logging
    from hfl_core._settings_files import load_settings
    from hfl_core.errors import ConfigError

    verbosity = state.verbosity
    if not verbosity:
        levels = {"debug": 2, "info": 1, "warning": 0, "error": -1, "critical": -2}
        try:
            verbosity = levels[load_settings().log_level]
        except ConfigError:
            verbosity = 0  # the command that needs the settings reports what is wrong with them
    configure_logging(verbosity)
