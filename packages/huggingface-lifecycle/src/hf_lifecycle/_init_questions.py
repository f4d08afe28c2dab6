"""What ``hfl init`` asks on a terminal, each question only where no option and no file answers it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Callable

import click

from hf_lifecycle._gitignore import is_in_git, read_ignore_file
from hf_lifecycle._initialize import Wishes
from hf_lifecycle._settings_file import read_project_file
from hfl_auth import AuthManager
from hfl_core import Settings
from hfl_core.errors import HflError

__all__ = ["ask"]


def ask(folder: Path, wishes: Wishes) -> Wishes:
    """Ask what no option said. A folder that has an hfl.toml is set up already: nothing is asked.

    Args:
        folder: The folder.
        wishes: What the options said.

    Returns:
        What is wanted.

    Raises:
        ConfigError: The settings that hold here make no sense.
    """
    if read_project_file(folder).text is not None:
        return wishes
    if wishes.endpoint is None:
        present = AuthManager(wishes.profile).endpoint
        answer = _ask("Which Hub", present, lambda text: str(Settings.parse("endpoint", text)))
        if answer != present:
            wishes = dataclasses.replace(wishes, endpoint=answer)
    if wishes.keep is None:
        answer = _ask("Which checkpoints are kept (such as last:3)", "all", _policy)
        if answer != "all":
            wishes = dataclasses.replace(wishes, keep=answer)
    if not wishes.ignored and is_in_git(folder):
        answer = _ask(
            "Which folder of runs stays out of git ('-' for none)", "runs", _below(folder)
        )
        if answer != "-":
            wishes = dataclasses.replace(wishes, ignored=(answer,))
    return wishes


def _policy(text: str) -> str:
    from hfl_checkpoint import keep_from

    if text != "all":
        keep_from(text)
    return text


def _below(folder: Path) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text != "-":
            read_ignore_file(folder, [text])
        return text

    return check


def _ask(question: str, default: str, check: Callable[[str], str]) -> str:
    """Ask until the answer makes sense."""

    def checked(text: str) -> str:
        try:
            return check(text.strip())
        except HflError as error:
            raise click.UsageError(f"{error.message} {error.hint or ''}".strip()) from error

    answer: str = click.prompt(question, default=default, value_proc=checked, err=True)
    return answer
