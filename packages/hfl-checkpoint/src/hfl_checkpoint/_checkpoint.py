"""What people hold in their hands: a committed checkpoint, and the reports about it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Mapping, Tuple

if TYPE_CHECKING:
    import datetime
    from pathlib import Path

    from hfl_checkpoint._manifest import Manifest


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A committed checkpoint.

    Attributes:
        name: Its directory's name.
        step: Optimizer steps taken when it was saved.
        epoch: Completed epochs, or None when the run does not count them.
        sequence: Its place in the order of commits of its run; the only order that counts.
        run_id: The run that it belongs to.
        created_at: When it was committed, in UTC.
        metrics: Metric to value.
        reason: Why it was saved: ``"interval"``, ``"manual"``, …
        components: The names of what it holds.
        path: Its directory.
        pinned: Whether it is kept whatever the policy says.
        labels: The names that were given to it with pins.
        size: Bytes of its files, the manifest aside. Files that it shares with other checkpoints count
            in each of them.
        is_renamed: Whether somebody gave its directory another name, as for keeping it.
    """

    name: str
    step: int
    epoch: int | None
    sequence: int
    run_id: str
    created_at: datetime.datetime
    metrics: Mapping[str, float]
    reason: str
    components: Tuple[str, ...]
    path: Path
    pinned: bool
    labels: Tuple[str, ...]
    size: int
    is_renamed: bool = False

    @property
    def unique_size(self) -> int:
        """Bytes of the files that it shares with no other checkpoint: what deleting it sets free.

        A file that was cloned looks like one of its own here; only the file system knows better.

        Raises:
            OSError: It was deleted meanwhile.
        """
        found = (path.stat() for path in self.path.rglob("*") if path.is_file())
        return sum(status.st_size for status in found if status.st_nlink == 1)


def describe(path: Path, manifest: Manifest, pin_labels: Tuple[str, ...] | None) -> Checkpoint:
    """Make the public view of a manifest.

    Args:
        path: The checkpoint's directory.
        manifest: Its manifest.
        pin_labels: The labels of its pins, or None when it is not pinned.
    """
    return Checkpoint(
        name=path.name,
        step=manifest.step,
        epoch=manifest.epoch,
        sequence=manifest.sequence,
        run_id=manifest.run_id,
        created_at=manifest.created_at,
        metrics=manifest.metrics,
        reason=manifest.reason,
        components=manifest.names,
        path=path,
        pinned=pin_labels is not None,
        labels=pin_labels or (),
        size=manifest.size,
        is_renamed=manifest.name not in (None, path.name),
    )


@dataclasses.dataclass(frozen=True)
class RestoreReport:
    """What a restore did.

    Attributes:
        checkpoint: The one that was restored.
        restored: The components that were restored, in order.
        missing: Components that the checkpoint lacks, as `allow_missing` permitted.
        quarantined: Newer checkpoints that were damaged and set aside.
        warnings: What a person should know, one sentence each.
    """

    checkpoint: Checkpoint
    restored: Tuple[str, ...]
    missing: Tuple[str, ...] = ()
    quarantined: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something that is wrong with a checkpoint.

    Attributes:
        file: The file, relative to the checkpoint.
        tensor: The tensor in it, where that could be told.
        message: What is wrong, as a clause.
    """

    file: str
    tensor: str | None
    message: str

    def __str__(self) -> str:
        where = self.file if self.tensor is None else f"{self.file} (tensor {self.tensor!r})"
        return f"{where} {self.message}"


@dataclasses.dataclass(frozen=True)
class VerifyReport:
    """What a verification found.

    Attributes:
        name: The checkpoint.
        level: ``"quick"`` or ``"full"``.
        problems: What is wrong; empty when all is well.
    """

    name: str
    level: str
    problems: Tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclasses.dataclass(frozen=True)
class Vote:
    """What one policy says about one checkpoint.

    Attributes:
        policy: The policy, as it is written in code.
        keeps: Whether it wants to keep the checkpoint.
        reason: Why, or why not.
    """

    policy: str
    keeps: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.policy}: {'keep' if self.keeps else 'no'}, {self.reason}"


@dataclasses.dataclass(frozen=True)
class Decision:
    """What happens to one checkpoint in a clean-up, and why.

    Attributes:
        checkpoint: The checkpoint.
        reason: What decided.
        votes: What each policy said, in the order in which they were written.
    """

    checkpoint: Checkpoint
    reason: str
    votes: Tuple[Vote, ...] = ()


@dataclasses.dataclass(frozen=True)
class CleanupPlan:
    """What a clean-up does, or would do.

    Attributes:
        keep: Kept by the policy.
        delete: Deleted.
        protected: Not wanted by the policy, and kept all the same.
    """

    keep: Tuple[Decision, ...]
    delete: Tuple[Decision, ...]
    protected: Tuple[Decision, ...]
