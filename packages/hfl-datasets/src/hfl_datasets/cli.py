"""The commands ``hfl dataset …``; alone, ``hfl-dataset …``."""

from __future__ import annotations

import click

from hfl_core.cli import main_for
from hfl_datasets._cli_look import COMMANDS as _LOOK
from hfl_datasets._cli_upload import COMMANDS as _UPLOAD
from hfl_datasets._cli_validate import COMMANDS as _VALIDATE

__all__ = ["dataset", "main"]


@click.group()
def dataset() -> None:
    """Publish, version, validate, describe and fetch datasets on a Hub."""


for _command in (*_UPLOAD, *_VALIDATE, *_LOOK):
    dataset.add_command(_command)

main = main_for(dataset)
