"""The reading side of a run: list, find, verify and pin its checkpoints. It needs no torch."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Dict, Iterator, List, Literal, Sequence

from hfl_checkpoint._find import Which, find, find_by, require_label
from hfl_checkpoint._find_all import find_all
from hfl_checkpoint._manifest import MANIFEST
from hfl_checkpoint._retention import ranked, require_mode
from hfl_checkpoint._run import RunDirectory
from hfl_checkpoint._verify import Level, verify
from hfl_checkpoint.errors import CheckpointNotFoundError
from hfl_core import translated_os_errors

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from hfl_checkpoint._checkpoint import Checkpoint, VerifyReport
    from hfl_checkpoint.errors import CheckpointDamagedError


class Catalog:
    """The checkpoints of one run, for looking at them.

    Args:
        directory: The run's directory; it may not exist yet.

    Raises:
        ConfigError: It is a file.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._run = RunDirectory(directory)

    @property
    def directory(self) -> Path:
        """The run's directory."""
        return self._run.path

    @property
    def run_directory(self) -> RunDirectory:
        """The directory at work, for this package and integrations: which runs lie there, and which is ours."""
        return self._run

    def settle(self) -> None:
        """Wait for what is under way, before something is looked up; here, nothing ever is."""

    def checkpoints(self) -> List[Checkpoint]:
        """List the run's committed checkpoints, oldest first.

        Example:
            >>> import tempfile
            >>> from hfl_checkpoint import CheckpointManager
            >>> manager = CheckpointManager(tempfile.mkdtemp(), background=False)
            >>> saved = [manager.save(step, counters={"seen": step}) for step in (10, 20)]
            >>> [item.step for item in manager.checkpoints()]
            [10, 20]
        """
        return self._run.scan().checkpoints

    def unreadable(self) -> Dict[Path, CheckpointDamagedError]:
        """Map the directories whose manifest is damaged, so that nobody can tell what they are, to the damage."""
        return dict(self._run.scan().unreadable)

    def latest(self) -> Checkpoint | None:
        """The newest committed checkpoint, or None."""
        checkpoints = self.checkpoints()
        return checkpoints[-1] if checkpoints else None

    def best(self, metric: str, mode: Literal["min", "max"] = "min") -> Checkpoint | None:
        """Find the best checkpoint by a metric.

        Args:
            metric: The metric's name, as it was passed to ``step`` or ``save``.
            mode: Whether ``"min"`` or ``"max"`` is best. Of equal values the older one is.

        Returns:
            The checkpoint, or None when none has the metric as a finite number.

        Raises:
            ConfigError: There is no such mode.
        """
        require_mode(mode)
        best = ranked(self.checkpoints(), metric, mode)
        return best[0] if best else None

    def get(
        self,
        *,
        step: int | None = None,
        epoch: int | None = None,
        name: str | None = None,
        label: str | None = None,
    ) -> Checkpoint:
        """Find the newest checkpoint that has all of the given properties.

        Args:
            step: Optimizer steps taken.
            epoch: Completed epochs.
            name: Its directory's name.
            label: A name that was given to it with a pin.

        Returns:
            The checkpoint.

        Raises:
            CheckpointNotFoundError: There is none.
            ConfigError: No property was given.
        """
        return find_by(
            self.checkpoints(),
            directory=str(self._run.path),
            step=step,
            epoch=epoch,
            name=name,
            label=label,
        )

    def find(self, which: Which) -> Checkpoint:
        """Find the checkpoint that is meant.

        Args:
            which: ``"latest"``, ``"best:<metric>"`` (``"best:<metric>:max"`` when more is better), a
                step, a name or label, or a `Checkpoint`.

        Returns:
            The checkpoint.

        Raises:
            CheckpointNotFoundError: There is no such checkpoint.
            CheckpointDamagedError: It names one whose manifest is damaged.
        """
        self.settle()
        return self._find(which)

    def _find(self, which: Which) -> Checkpoint:
        scan = self._run.scan()
        return find(
            which,
            scan.checkpoints,
            directory=str(self._run.path),
            unreadable=dict(scan.unreadable),
            copies=scan.copies,
        )

    def find_all(self, wanted: Sequence[str]) -> List[Checkpoint]:
        """Find several checkpoints at once.

        Args:
            wanted: Each as for `find` in the form of a text, or a pattern for names and labels
                (``"step-*00"``), or a range of steps with both ends included (``"step-1000..5000"``,
                ``"1000.."``).

        Returns:
            The checkpoints, each once, oldest first.

        Raises:
            CheckpointNotFoundError: One of the texts finds nothing.
        """
        self.settle()
        scan = self._run.scan()
        return find_all(
            wanted,
            scan.checkpoints,
            directory=str(self._run.path),
            unreadable=dict(scan.unreadable),
            copies=scan.copies,
        )

    def remarks(self) -> List[str]:
        """Say what is odd about the directory: copies, merged runs, missing manifests."""
        return list(self._run.scan().remarks)

    def verify(self, which: Which = "latest", level: Level = "full") -> VerifyReport:
        """Compare a checkpoint with its manifest.

        Args:
            which: As for `find`.
            level: ``"quick"`` (presence, sizes, headers) or ``"full"`` (every byte).

        Returns:
            The report; damage is reported, not raised.

        Raises:
            CheckpointNotFoundError: There is no such checkpoint.
            ConfigError: There is no such level.
        """
        while True:
            checkpoint = self.find(which)
            with self._run.reading(checkpoint):
                if (checkpoint.path / MANIFEST).exists():
                    return verify(checkpoint.path, level)
            # Others deleted it before the lease could hold it; it is not damaged.

    def verify_all(self, level: Level = "full") -> List[VerifyReport]:
        """Compare all checkpoints with their manifests, those whose manifest is damaged included.

        Args:
            level: As for `verify`.

        Returns:
            The reports, oldest first; those that nobody can order come last.
        """
        reports = []
        for checkpoint in self.checkpoints():
            with contextlib.suppress(CheckpointNotFoundError):  # deleted by others meanwhile
                reports.append(self.verify(checkpoint, level))
        return reports + self.verify_unreadable(level)

    def verify_unreadable(self, level: Level = "full") -> List[VerifyReport]:
        """Report on the directories whose manifest is damaged; one of them may be the latest."""
        return [verify(path, level) for path in self.unreadable()]

    def pin(self, which: Which, label: str | None = None) -> Checkpoint:
        """Keep a checkpoint whatever the policy says, under a label if one is given.

        A label belongs to one checkpoint: giving it to another one takes it from the first.

        Args:
            which: As for `find`.
            label: A name by which it can be asked for.

        Returns:
            The checkpoint, as it is now.

        Raises:
            CheckpointNotFoundError: There is no such checkpoint.
            ConfigError: The label would mean something else where a checkpoint is asked for.
        """
        self.settle()  # before the lock, which a save under way needs
        if label is not None:
            require_label(label, self._run.scan().checkpoints)
        with self._locked(which) as checkpoint:
            pins = {
                name: tuple(item for item in labels if item != label)
                for name, labels in self._run.pins().items()
            }
            labels = pins.get(checkpoint.name, ())
            pins[checkpoint.name] = labels if label is None else (*labels, label)
            self._run.set_pins(pins)
        return self._find(checkpoint)

    def unpin(self, which: Which) -> Checkpoint:
        """Take the pin and the labels from a checkpoint.

        Args:
            which: As for `find`.

        Returns:
            The checkpoint, as it is now.

        Raises:
            CheckpointNotFoundError: There is no such checkpoint.
        """
        self.settle()
        with self._locked(which) as checkpoint:
            pins = self._run.pins()
            pins.pop(checkpoint.name, None)
            self._run.set_pins(pins)
        return self._find(checkpoint)

    @contextlib.contextmanager
    def _locked(self, which: Which) -> Iterator[Checkpoint]:
        """Find a checkpoint, and keep others from deleting it within the block."""
        self._find(which)  # first without the lock, which needs a directory that can be written
        with translated_os_errors(f"pin checkpoints in {str(self._run.path)!r}"), self._run.lock():
            yield self._find(which)
