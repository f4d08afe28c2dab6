"""The command `hfl`: a group whose subcommands come from the installed packages."""

from __future__ import annotations

import functools
from typing import Any, NoReturn

import click

from hfl_cli._plugins import ALIASES, HOMES, Plugin, PluginError, installed_plugins
from hfl_core import ConfigError, HflError, MissingExtraError
from hfl_core.cli import main_for

__all__ = ["hfl", "main"]


class UnavailableCommand(click.Command):
    """Stands in for a command that cannot be loaded, and raises the reason whatever it is asked.

    Args:
        name: The command's name.
        error: What to raise.
        reason: The reason in a few words, for a list.
    """

    def __init__(self, name: str, error: HflError, reason: str) -> None:
        super().__init__(name, hidden=True)
        self.error = error
        self.reason = reason

    def make_context(self, *_args: Any, **_extra: Any) -> NoReturn:
        """Raise the reason, in place of parsing arguments."""
        raise self.error


class ComposedGroup(click.Group):
    """A group that imports a subcommand when it is used, or described in its own help."""

    @functools.cached_property
    def plugins(self) -> dict[str, Plugin]:
        """The installed commands by name, looked up once."""
        return installed_plugins()

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name everything that is installed, whether it works or not."""
        return sorted({*super().list_commands(ctx), *self.plugins})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; one that cannot be loaded says why when it is run."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        if cmd_name in ALIASES and cmd_name not in self.plugins:
            return self._alias(ctx, *ALIASES[cmd_name])
        if cmd_name in self.plugins:
            try:
                return self.plugins[cmd_name].load()
            except PluginError as error:
                return UnavailableCommand(cmd_name, error, str(error.reason))
        if cmd_name in HOMES:
            missing = MissingExtraError(f"the command '{cmd_name}'", extra=HOMES[cmd_name])
            return UnavailableCommand(cmd_name, missing, "not installed")
        return None

    def _alias(self, ctx: click.Context, group: str, name: str) -> click.Command | None:
        command = self.get_command(ctx, group)
        return command.get_command(ctx, name) if isinstance(command, click.Group) else command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Describe the commands in the help; one that is broken breaks nothing but itself."""
        rows: list[tuple[str, str]] = []
        broken: list[tuple[str, str]] = []
        names = self.list_commands(ctx)
        limit = formatter.width - 6 - max((len(name) for name in names), default=0)
        for name in names:
            command = self.get_command(ctx, name)
            if isinstance(command, UnavailableCommand):
                broken.append((name, command.reason))
            elif command is not None and not command.hidden:
                rows.append((name, command.get_short_help_str(limit)))
        for title, found in (("Commands", rows), ("Unavailable", broken)):
            if found:
                with formatter.section(title):
                    formatter.write_dl(found)
        if not self.plugins:
            formatter.write_paragraph()
            formatter.write_text(
                "No commands are installed. Try: pip install huggingface-lifecycle"
            )


@click.command(cls=ComposedGroup, context_settings={"help_option_names": ["-h", "--help"]})
def hfl() -> None:
    """Save, find, prove and publish what a training run produces."""


@hfl.command(short_help="Print the script that completes commands in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that makes SHELL complete commands and options.

    \b
    Examples:
      eval "$(hfl completion bash)"
      hfl completion zsh >> ~/.zshrc
      hfl completion fish > ~/.config/fish/completions/hfl.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise ConfigError(f"This version of click has no completion for {shell}.")
    click.echo(kind(hfl, {}, "hfl", "_HFL_COMPLETE").source())


main = main_for(hfl)
