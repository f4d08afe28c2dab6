"""What a path that people pass as ``ckpt_path`` means, and reading what is there."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, Dict, Tuple

from hfl_checkpoint import Checkpoint, CheckpointManager
from hfl_core import ConfigError
from hfl_integrations._lightning import _content
from hfl_integrations._lightning._together import from_first

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
    directory, which, run_id = from_first(lambda: _resolved(Path(path).absolute()))
    with CheckpointManager(directory, keep="all", background=False) as manager:
        if run_id is not None:
            manager.run_directory.adopt(run_id)
        states = manager.load(which)  # the newest that is damaged is set aside
        source = from_first(lambda: manager.find(which))
    if not _content.is_lightning(states):
        raise ConfigError(
            f"{source.name} was not saved by Lightning: it has {', '.join(states)}.",
            hint="Restore it with what saved it; CheckpointManager.load reads its states.",
        )
    if map_location is not None:
        with CheckpointManager(directory, keep="all", background=False) as manager:
            manager.run_directory.adopt(source.run_id)
            states = manager.load(source, map_location=map_location)
    found = _content.checkpoint_of(states)
    # For our callback; Lightning passes it on.
    found[_content.OWN] = {_content.RANK: states.get(_content.RANK), "source": source}
    return Read(found, source)


def arrived(path: Any, manager: CheckpointManager, *, has_hub: bool) -> Any:
    """Bring a checkpoint here that is on the Hub, and return where it is; another path stays as it is.

    Args:
        path: What Lightning is to load.
        manager: The run's manager.
        has_hub: Whether it has a repository, which may hold what is not here any more.
    """
    if isinstance(path, str) and path.startswith("hf://"):
        return str(manager.pull(path).path)
    if not has_hub or not isinstance(path, (str, os.PathLike)):
        return path
    place = Path(path)
    is_own = place.parent.resolve() == Path(manager.directory).resolve()
    if place.exists() or not is_own or is_ours(path):
        return path
    return str(manager.pull(place.name).path)


def _resolved(place: Path) -> Tuple[Path, str, str | None]:
    """The run's directory, which of its checkpoints, and the run; a directory may hold several runs."""
    if _is_checkpoint(place):
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        return place.parent, place.name, str(manifest.get("run_id"))
    return (place if (place / RUN).is_file() else place.parent), "latest", None


def _is_checkpoint(place: Path) -> bool:
    return (place / MANIFEST).is_file()


def _stands_for_last(place: Path) -> bool:
    return place.stem == _LAST and not place.exists() and (place.parent / RUN).is_file()
