"""Folders in which a checkpoint is put together before it exists, and the name that it gets."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Iterator

from hfl_checkpoint import _lease
from hfl_core import Files

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_checkpoint._run import RunDirectory


@contextlib.contextmanager
def staged(run: RunDirectory, name: str) -> Iterator[Path]:
    """Make a folder that nobody else removes; what the block has not moved away goes with it.

    Args:
        run: The run's directory.
        name: What the folder's name begins with.
    """
    stage: Path = run.staging / f"{name}-{secrets.token_hex(6)}"
    lease = stage.with_name(f"{stage.name}.lease")
    try:
        _lease.take(run.files, lease)
        run.files.make_directory(stage)
        yield stage
    finally:
        with contextlib.suppress(OSError):
            if stage.exists():
                Files().remove_tree(stage)
        _lease.give_back(lease)


def free_name(run: RunDirectory, wanted: str) -> str:
    """A name that nothing has: another run, or an abandoned line of this one, may have taken it."""
    name, attempt = wanted, 1
    while (run.path / name).exists():
        attempt += 1
        name = f"{wanted}-{attempt}"
    return name
