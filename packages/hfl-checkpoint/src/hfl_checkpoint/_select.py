"""Choosing a checkpoint that is intact, and setting aside those that are not."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Iterator, List, Tuple

from hfl_checkpoint._checkpoint import Checkpoint
from hfl_checkpoint._find import Which, find
from hfl_checkpoint._manifest import MANIFEST, Manifest, read_manifest
from hfl_checkpoint._verify import require_intact
from hfl_checkpoint.errors import CheckpointDamagedError
from hfl_core import get_logger

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_checkpoint._run import RunDirectory

_log = get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class Selection:
    """A checkpoint that was verified in full.

    Attributes:
        checkpoint: The checkpoint.
        manifest: Its manifest.
        quarantined: Names of newer ones that are damaged and were set aside.
        warnings: What a person should know about that.
    """

    checkpoint: Checkpoint
    manifest: Manifest
    quarantined: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()


@contextlib.contextmanager
def selected(run: RunDirectory, which: Which, *, strict: bool) -> Iterator[Selection]:
    """Find a checkpoint, verify it in full, and keep it from being deleted within the block.

    Asked for the latest, it goes back to the newest one that is intact, and sets the damaged ones
    aside; asked for a certain one, it raises when that one is damaged.

    Args:
        run: The run's directory.
        which: As in `hfl_checkpoint._find.find`.
        strict: Raise for a damaged newest checkpoint instead of going back.

    Raises:
        CheckpointNotFoundError: There is none.
        CheckpointDamagedError: It is damaged, or all are.
        UnsupportedFormatError: The latest is asked for, and a newer version of this package wrote here.
    """
    while True:
        with contextlib.ExitStack() as leases:
            selection = _select(run, which, leases, strict=strict)
            if selection is not None:
                yield selection
                return


def _select(
    run: RunDirectory, which: Which, leases: contextlib.ExitStack, *, strict: bool
) -> Selection | None:
    """Select once; None when a candidate was deleted by others before a lease could hold it."""
    scan = run.scan()
    directory = str(run.path)
    if which != "latest":
        # A checkpoint in hand is meant, whichever run it belongs to.
        among = [*scan.foreign, *scan.checkpoints] if isinstance(which, Checkpoint) else None
        checkpoint = find(
            which,
            scan.checkpoints if among is None else among,
            directory=directory,
            unreadable=dict(scan.unreadable),
            copies=scan.copies,
        )
        leases.enter_context(run.reading(checkpoint))
        if not _is_there(checkpoint):
            return None
        require_intact(checkpoint.path)
        return Selection(checkpoint, read_manifest(checkpoint.path))
    for _, newer in scan.newer:  # one of them may be the latest
        raise newer
    damaged: List[Tuple[Path, CheckpointDamagedError]] = list(scan.unreadable)
    for checkpoint in reversed(scan.checkpoints):
        if strict and damaged:
            break
        with contextlib.ExitStack() as attempt:
            attempt.enter_context(run.reading(checkpoint))
            if not _is_there(checkpoint):
                return None
            try:
                require_intact(checkpoint.path)
            except CheckpointDamagedError as error:
                damaged.append((checkpoint.path, error))
                continue
            leases.push(attempt.pop_all())
        warnings = [_set_aside(run, path, error) for path, error in damaged]
        names = tuple(path.name for path, _ in damaged)
        return Selection(checkpoint, read_manifest(checkpoint.path), names, tuple(warnings))
    if damaged:
        raise damaged[0][1]
    find("latest", [], directory=directory)
    raise AssertionError("find() has raised")


def _is_there(checkpoint: Checkpoint) -> bool:
    return (checkpoint.path / MANIFEST).exists()


def _set_aside(run: RunDirectory, path: Path, error: CheckpointDamagedError) -> str:
    try:
        place = f"it was moved to {run.set_aside(path).relative_to(run.path).as_posix()}"
    except OSError as cause:
        place = f"it could not be moved away ({cause.strerror})"
    text = f"{error.message} An earlier checkpoint is used, and {place}."
    _log.warning("%s", text)
    return text
