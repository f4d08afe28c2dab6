"""What a path that people pass as ``ckpt_path`` means, and reading what is there."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, Dict

from hfl_checkpoint import Checkpoint, CheckpointManager
from hfl_core import ConfigError
from hfl_integrations._lightning import _content

MANIFEST, RUN = "manifest.json", "run.json"
_LAST = "last"


@dataclasses.dataclass(frozen=True)
class Read:
    """What was read.

    Attributes:
        checkpoint: Lightning's dictionary.
        source: Where from.
    """

    checkpoint: Dict[str, Any]
    source: Checkpoint


def is_ours(path: Any) -> bool:
    """Whether a path is that of a checkpoint of this library, or stands for one.

    It may be the directory of a run as well; in there ``last.ckpt``, which ModelCheckpoint would have
    written, stands for the newest one.
    """
    if not isinstance(path, (str, os.PathLike)) or "://" in os.fspath(path):
        return False
    place = Path(path)
    return _is_checkpoint(place) or (place / RUN).is_file() or _stands_for_last(place)


def read(path: str | os.PathLike[str], *, map_location: Any = None) -> Read:
    """Read the checkpoint that a path means, verified, as Lightning's dictionary.

    Args:
        path: The path, for which `is_ours` is true.
        map_location: As for `CheckpointManager.load`.

    Raises:
        CheckpointNotFoundError: There is none.
        CheckpointDamagedError: It is damaged.
        ConfigError: Something other than Lightning saved it.
    """
    place = Path(path).absolute()
    if _is_checkpoint(place):
        directory, which = place.parent, place.name
    else:
        directory, which = (place if (place / RUN).is_file() else place.parent), "latest"
    with CheckpointManager(directory, keep="all", background=False) as manager:
        if which != "latest":
            belong_to_run_of(manager, place)
        states = manager.load(which)  # the newest that is damaged is set aside
        source = manager.find(which)
    if not _content.is_lightning(states):
        raise ConfigError(
            f"{source.name} was not saved by Lightning: it has {', '.join(states)}.",
            hint="Restore it with what saved it; CheckpointManager.load reads its states.",
        )
    if map_location is not None:
        states = manager.load(source, map_location=map_location)
    found = _content.checkpoint_of(states)
    found[_content.OWN] = {_content.RANK: states.get(_content.RANK), "source": str(source.path)}
    return Read(found, source)


def belong_to_run_of(manager: CheckpointManager, place: Path) -> None:
    """Let a manager see the checkpoints of the run that one belongs to; a directory may hold several runs."""
    run_id = json.loads((place / MANIFEST).read_text(encoding="utf-8")).get("run_id")
    if isinstance(run_id, str):
        manager.run_directory.adopt(run_id)


def _is_checkpoint(place: Path) -> bool:
    return (place / MANIFEST).is_file()


def _stands_for_last(place: Path) -> bool:
    return place.stem == _LAST and not place.exists() and (place.parent / RUN).is_file()
