"""How the runs in a folder stand, for whoever looks after them. It changes nothing, and needs no torch."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Set, Tuple

from hfl_checkpoint._catalog import Catalog
from hfl_checkpoint._remote._queue import UploadQueue
from hfl_checkpoint._run import RUN_FILE
from hfl_checkpoint._usage import FileId, new_bytes
from hfl_checkpoint._verify import verify

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint


@dataclasses.dataclass(frozen=True)
class RunOverview:
    """How a run stands.

    Attributes:
        path: Its directory.
        checkpoints: Its checkpoints, oldest first.
        problems: What is wrong with it: damage of the newest checkpoint, as far as a quick look shows it,
            and directories whose manifest cannot be read.
        remarks: What is odd about its directory.
        hub: Where it is published, ``"me/digits@checkpoints"``, or None.
        waiting: Names of the checkpoints that wait to be published.
        refused: Names of those that were refused, with the reason.
        size: Bytes on disk of its checkpoints; files that several share count once.
    """

    path: Path
    checkpoints: Tuple[Checkpoint, ...]
    problems: Tuple[str, ...]
    remarks: Tuple[str, ...]
    hub: str | None
    waiting: Tuple[str, ...]
    refused: Dict[str, str]
    size: int

    @property
    def latest(self) -> Checkpoint | None:
        """The newest checkpoint, or None."""
        return self.checkpoints[-1] if self.checkpoints else None


def run_overview(directory: str | os.PathLike[str]) -> RunOverview:
    """Say how a run stands.

    Args:
        directory: The run's directory; it may not exist yet.

    Returns:
        What is there.

    Raises:
        ConfigError: It is a file.
        UnsupportedFormatError: Its queue was written by a newer version.

    Example:
        >>> import tempfile
        >>> from hfl_checkpoint import CheckpointManager, run_overview
        >>> directory = tempfile.mkdtemp()
        >>> saved = CheckpointManager(directory, background=False).save(10, counters={"seen": 1})
        >>> overview = run_overview(directory)
        >>> overview.latest.step, overview.problems, overview.waiting
        (10, (), ())
    """
    catalog = Catalog(directory)
    checkpoints = catalog.checkpoints()
    problems = [error.message for error in catalog.unreadable().values()]
    if checkpoints:
        report = verify(checkpoints[-1].path, "quick")
        problems += [f"{checkpoints[-1].name}: {problem}" for problem in report.problems]
    waiting = UploadQueue(catalog.run_directory).read()
    target = waiting.target
    seen: Set[FileId] = set()
    return RunOverview(
        path=catalog.directory,
        checkpoints=tuple(checkpoints),
        problems=tuple(problems),
        remarks=tuple(catalog.remarks()),
        hub=None if target is None else f"{target.repo_id}@{target.revision}",
        waiting=tuple(waiting.due),
        refused={name: why for name, why in waiting.pending.items() if why is not None},
        size=sum(new_bytes(item, seen) for item in checkpoints),
    )


def find_runs(folder: str | os.PathLike[str], *, depth: int = 3) -> List[Path]:
    """Find the directories of runs in a folder.

    Args:
        folder: Where to look; it may be a run's directory itself.
        depth: How many folders below it are looked into. Hidden ones and links are not.

    Returns:
        Their paths, sorted.

    Example:
        >>> import tempfile
        >>> from hfl_checkpoint import CheckpointManager, find_runs
        >>> folder = tempfile.mkdtemp()
        >>> saved = CheckpointManager(f"{folder}/runs/a", background=False).save(1, counters={"seen": 1})
        >>> [path.name for path in find_runs(folder)]
        ['a']
    """
    return sorted(_runs(Path(folder), depth))


def _runs(folder: Path, depth: int) -> List[Path]:
    if (folder / RUN_FILE).is_file():  # runs do not lie in one another
        return [folder]
    if depth <= 0:
        return []
    try:
        with os.scandir(folder) as entries:
            below = [
                Path(entry.path)
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            ]
    except OSError:  # it may not be read, or is gone
        return []
    return [run for each in below for run in _runs(each, depth - 1)]
