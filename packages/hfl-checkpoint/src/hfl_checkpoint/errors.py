"""Errors of hfl-checkpoint; each is also a family of `hfl_core.errors` and, where natural, a built-in.

::

    CheckpointError
    ├── CheckpointNotFoundError   (FileNotFoundError)  no checkpoint answers to what was asked for
    ├── CheckpointExistsError     (FileExistsError)    the step was saved already
    ├── CheckpointDamagedError                         it does not hold what its manifest promises
    ├── UnsupportedFormatError                         it was written in a format of a newer version
    ├── MissingComponentError                          it lacks something that should be restored
    ├── NoModelError                                   it holds no model that could be promoted
    ├── UntrustedPickleError                           a foreign file runs code when it is read
    ├── SaveSkippedError                               a newer save took the place of this one
    ├── AlreadyPublishingError                         another process publishes the same run
    ├── UnknownTypeError          (TypeError)          a state holds what only pickle could write
    ├── IncompleteModelError                           the state of a model lacks tensors
    ├── SnapshotChangedError                           tensors changed while they were saved
    ├── StateMismatchError                             the saved state does not fit the live object
    │   └── WorldSizeError                             it was saved by another number of processes
    ├── RankFailedError                                something went wrong on one of the processes
    └── RankLostError                                  another process has died or hangs
"""

from __future__ import annotations

from typing import Sequence

from hfl_checkpoint._checkpoint_error import CheckpointError
from hfl_checkpoint._rank_errors import RankFailedError, RankLostError, WorldSizeError
from hfl_checkpoint._state_errors import (
    IncompleteModelError,
    SnapshotChangedError,
    StateMismatchError,
    UnknownTypeError,
)
from hfl_core import (
    ConflictError,
    IncompatibleStateError,
    IntegrityError,
    NotFoundError,
    ValidationError,
)

__all__ = [
    "AlreadyPublishingError",
    "CheckpointDamagedError",
    "CheckpointError",
    "CheckpointExistsError",
    "CheckpointNotFoundError",
    "IncompleteModelError",
    "MissingComponentError",
    "NoModelError",
    "RankFailedError",
    "RankLostError",
    "SaveSkippedError",
    "SnapshotChangedError",
    "StateMismatchError",
    "UnknownTypeError",
    "UnsupportedFormatError",
    "UntrustedPickleError",
    "WorldSizeError",
]


class AlreadyPublishingError(CheckpointError, ConflictError):
    """Another process publishes the same run.

    Args:
        directory: The run's directory.
    """

    def __init__(self, directory: str) -> None:
        super().__init__(
            f"Another process is publishing the checkpoints of {directory!r}.",
            hint="Wait for it, or end it, then try again.",
        )
        self.directory = directory


class CheckpointNotFoundError(CheckpointError, NotFoundError, FileNotFoundError):
    """No checkpoint answers to what was asked for.

    Args:
        which: What was asked for, as it reads after "No checkpoint": ``"for step 900"``.
        directory: The run's directory.
        available: Names of the checkpoints that exist, oldest first.
        unreadable: Names of directories whose manifest is damaged, so that nobody can tell what they are.
        metrics: Where a metric was asked for, the metrics that exist.
    """

    def __init__(
        self,
        which: str,
        *,
        directory: str,
        available: Sequence[str] = (),
        unreadable: Sequence[str] = (),
        metrics: Sequence[str] | None = None,
    ) -> None:
        if not available:
            exists = "It holds no checkpoint of this run."
            hint = "Check the directory, or save one first."
        else:
            shown = ", ".join(available[-5:])
            more = f" and {len(available) - 5} older ones" if len(available) > 5 else ""
            exists = f"There are {shown}{more}."
            hint = "Pass 'latest' for the newest, or one of these names."
        if available and metrics is not None:
            exists += (
                f" Their metrics are {', '.join(metrics)}." if metrics else " They have no metrics."
            )
        if unreadable:
            exists += f" The manifest of {', '.join(sorted(unreadable))} is damaged."
        super().__init__(f"No checkpoint {which} in {directory!r}. {exists}", hint=hint)
        self.which = which
        self.directory = directory
        self.available = tuple(available)
        self.unreadable = tuple(unreadable)
        self.metrics = tuple(metrics or ())


class CheckpointDamagedError(CheckpointError, IntegrityError):
    """A checkpoint does not hold what its manifest promises.

    Args:
        name: The checkpoint's name.
        problems: What is wrong, one sentence each, with the file (and tensor) named.
        hint: What to do about it.
    """

    def __init__(self, name: str, problems: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__(
            f"Checkpoint {name!r} is damaged: {'; '.join(problems)}.",
            hint=hint or "Restore an earlier one, or copy this one again from where it is intact.",
        )
        self.name = name
        self.problems = tuple(problems)


class UnsupportedFormatError(CheckpointError, IncompatibleStateError):
    """A file was written in a format that this version does not read.

    Args:
        path: The file.
        found: The format it declares.
        supported: The newest format that is read.
        needs: Features of a newer version without which it cannot be read.
    """

    def __init__(
        self, path: str, *, found: object, supported: int, needs: Sequence[str] = ()
    ) -> None:
        what = f"has format {found!r}; this version reads formats up to {supported}"
        if needs:
            what = f"needs {', '.join(map(repr, needs))}, which this version does not know"
        super().__init__(
            f"{path!r} {what}.", hint="Upgrade with: pip install --upgrade hfl-checkpoint"
        )
        self.path = path
        self.found = found
        self.supported = supported
        self.needs = tuple(needs)


class CheckpointExistsError(CheckpointError, ConflictError, FileExistsError):
    """The step was saved already, in the same line of training.

    Args:
        name: The checkpoint that exists.
        step: Its step.
        directory: The run's directory.
    """

    def __init__(self, name: str, *, step: int, directory: str) -> None:
        super().__init__(
            f"Step {step} is already saved as {name!r} in {directory!r}.",
            hint="A committed checkpoint is never replaced: save at another step.",
        )
        self.name = name
        self.step = step
        self.directory = directory


class MissingComponentError(CheckpointError, IncompatibleStateError):
    """Something that should be restored is not in the checkpoint.

    Args:
        name: The checkpoint's name.
        missing: The components that it lacks.
        available: The components that it has.
        hint: What to do about it.
    """

    def __init__(
        self,
        name: str,
        *,
        missing: Sequence[str],
        available: Sequence[str],
        hint: str | None = None,
    ) -> None:
        wanted = ", ".join(repr(item) for item in missing)
        super().__init__(
            f"Checkpoint {name!r} has no {wanted}; it has {', '.join(available) or 'no components'}.",
            hint=hint or f"If going on without is right, pass allow_missing={set(missing)!r}.",
        )
        self.name = name
        self.missing = tuple(missing)
        self.available = tuple(available)


class NoModelError(CheckpointError, ValidationError):
    """A checkpoint holds no model that could be promoted.

    Args:
        name: The checkpoint's name.
        component: The model that was asked for.
        models: The models that it has.
    """

    def __init__(self, name: str, component: str, *, models: Sequence[str]) -> None:
        has = f"it has {', '.join(models)}" if models else "it has none"
        super().__init__(
            f"Checkpoint {name!r} has no model {component!r}; {has}.",
            hint=(
                f"Name one: promote(…, component={models[0]!r})."
                if models
                else "Save the model as a component of its own: save(step, model=model)."
            ),
        )
        self.name = name
        self.component = component
        self.models = tuple(models)


class SaveSkippedError(CheckpointError, ConflictError):
    """A save that waited for an earlier one gave way to a newer one, as ``when_busy="coalesce"`` says.

    Args:
        step: The step that was not saved.
        newer: The step that is saved in its place.
    """

    def __init__(self, step: int, *, newer: int) -> None:
        super().__init__(
            f"Step {step} was not saved: step {newer} took its place while both waited for an "
            "earlier save.",
            hint="Save less often, write to a faster disk, or pass when_busy='wait'.",
        )
        self.step = step
        self.newer = newer


class UntrustedPickleError(CheckpointError, ValidationError):
    """A file of another program can only be read by running code that it names.

    Args:
        file: The file's name.
        found: What in it asks for that, one clause each.
    """

    def __init__(self, file: str, found: Sequence[str]) -> None:
        shown = list(found[:5])
        if len(found) > len(shown):
            shown.append(f"and {len(found) - len(shown)} more")
        super().__init__(
            f"{file!r} cannot be read without running code that it names: {'; '.join(shown)}.",
            hint="Pass trust_pickle=True if you know where the file comes from: it may do anything.",
        )
        self.file = file
        self.found = tuple(found)
