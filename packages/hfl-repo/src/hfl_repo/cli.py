"""The commands ``hfl repo …``; alone, ``hfl-repo …``."""

from __future__ import annotations

import click

from hfl_core.cli import main_for
from hfl_repo._cli_content import COMMANDS as _CONTENT
from hfl_repo._cli_life import COMMANDS as _LIFE
from hfl_repo._cli_refs import COMMANDS as _REFS
from hfl_repo._cli_transfer import COMMANDS as _TRANSFER

__all__ = ["main", "repo"]


@click.group()
def repo() -> None:
    """Create, describe, branch, transfer and clean repositories on a Hub."""


for _command in (*_LIFE, *_REFS, *_CONTENT, *_TRANSFER):
    repo.add_command(_command)

main = main_for(repo)
