"""Which commands the installed packages bring."""

from __future__ import annotations

import contextlib
import importlib
import sys
from dataclasses import dataclass
from importlib import metadata

import click

from hfl_core import HflError, get_logger, redact

GROUP = "hfl.commands"

# Which package a command of ours comes from, so that a missing one can be named.
HOMES = {
    "auth": "hfl-auth",
    "checkpoint": "hfl-checkpoint",
    "config": "huggingface-lifecycle",
    "dataset": "hfl-datasets",
    "demo": "huggingface-lifecycle",
    "doctor": "huggingface-lifecycle",
    "hub": "hfl-localhub",
    "init": "huggingface-lifecycle",
    "metadata": "hfl-metadata",
    "model": "hfl-registry",
    "repo": "hfl-repo",
    "report": "huggingface-lifecycle",
    "status": "huggingface-lifecycle",
}

# Short names for what is done most, and the flat names of scripts that were written for them.
ALIASES = {
    "clean": ("checkpoint", "clean"),
    "compare": ("checkpoint", "compare"),
    "dataset-list": ("dataset", "list"),
    "dataset-upload": ("dataset", "upload"),
    "download": ("checkpoint", "download"),
    "list": ("checkpoint", "list"),
    "repo-create": ("repo", "create"),
    "repo-list": ("repo", "list"),
    "upload": ("checkpoint", "upload"),
}

_LOG = get_logger(__name__)


class PluginError(HflError):
    """A package brings a command that cannot be loaded.

    Args:
        plugin: What was tried to be loaded.
        reason: Why it could not be.
    """

    def __init__(self, plugin: Plugin, reason: str) -> None:
        super().__init__(
            f"The command '{plugin.name}' of {plugin.distribution} cannot be loaded: {reason}.",
            hint=f"Reinstall or update it: pip install --upgrade '{plugin.distribution}'",
        )
        self.plugin = plugin
        self.reason = reason


@dataclass(frozen=True)
class Plugin:
    """A command that a distribution offers.

    Attributes:
        name: The command's name.
        target: Where it is: ``"hfl_auth.cli:auth"``.
        distribution: Which distribution brings it.
    """

    name: str
    target: str
    distribution: str

    def load(self) -> click.Command:
        """Import the command.

        Returns:
            The click command or group.

        Raises:
            PluginError: If the import fails in whatever way, or finds no command.
        """
        module_name, _, attributes = self.target.partition(":")
        try:
            # What a module prints while it is imported is talk, not data.
            with contextlib.redirect_stdout(sys.stderr):
                found: object = importlib.import_module(module_name.strip())
            for attribute in attributes.strip().split("."):
                found = getattr(found, attribute)
        except (Exception, SystemExit) as error:
            raise PluginError(self, _reason(error)) from error
        if not isinstance(found, click.Command):
            raise PluginError(self, f"'{self.target}' is not a click command")
        return found


def installed_plugins() -> dict[str, Plugin]:
    """Find the commands of all installed distributions without importing any.

    Returns:
        Commands by name, sorted. Of two with the same name ours wins, then the distribution that
        comes first in the alphabet; the other one is named in a log message.
    """
    plugins: dict[str, Plugin] = {}
    for plugin in sorted(
        _offered(), key=lambda each: (each.name, not _is_ours(each), each.distribution)
    ):
        known = plugins.setdefault(plugin.name, plugin)
        if known.distribution != plugin.distribution:
            _LOG.warning(
                "%s also brings a command '%s'; the one of %s is used.",
                plugin.distribution,
                plugin.name,
                known.distribution,
            )
    return plugins


def _offered() -> set[Plugin]:
    # Not metadata.entry_points(): before Python 3.10 it forgets which distribution an entry point is from.
    return {
        Plugin(entry.name, entry.value, distribution.metadata["Name"] or "an unnamed distribution")
        for distribution in metadata.distributions()
        for entry in distribution.entry_points
        if entry.group == GROUP
    }


def _is_ours(plugin: Plugin) -> bool:
    return HOMES.get(plugin.name) == plugin.distribution.lower().replace("_", "-")


def _reason(error: BaseException) -> str:
    text = " ".join(redact(str(error)).split()).rstrip(".")
    if isinstance(error, ModuleNotFoundError):
        return f"the module '{error.name}' is not installed"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
