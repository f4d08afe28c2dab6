"""Errors of hfl-checkpoint; each is also a family of `hfl_core.errors` and, where natural, a built-in."""

from __future__ import annotations

from typing import Sequence

from hfl_core import (
    ConflictError,
    HflError,
    IncompatibleStateError,
    IntegrityError,
    NetworkError,
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


class CheckpointError(HflError):
    """The base of every error of this package."""


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


class IncompleteModelError(CheckpointError, ValidationError):
    """The state of a model lacks tensors, or holds empty ones where the model has a shape.

    Args:
        component: The model's name.
        problems: What is missing or empty, one clause each.
    """

    def __init__(self, component: str, problems: Sequence[str]) -> None:
        shown = list(problems[:8])
        if len(problems) > len(shown):
            shown.append(f"and {len(problems) - len(shown)} more")
        super().__init__(
            f"The state of {component!r} is not all there: {'; '.join(shown)}.",
            hint="Gather sharded parameters before saving (deepspeed.zero.GatheredParameters, or a "
            "full state dict of FSDP). What is left out on purpose belongs into the model's "
            "_keys_to_ignore_on_save.",
        )
        self.component = component
        self.problems = tuple(problems)


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


class RankFailedError(CheckpointError, ConflictError):
    """Something went wrong on one of several processes, so that all of them raise this.

    What is an error of ours there is raised everywhere as what it is, with the rank in its message.

    Args:
        rank: On which.
        cause: What went wrong there, as it is written in code.
    """

    def __init__(self, rank: int, cause: str) -> None:
        super().__init__(
            f"On rank {rank}: {cause}.",
            hint="Nothing was committed or changed. The output of that rank shows where it comes from.",
        )
        self.rank = rank
        self.cause = cause


class RankLostError(CheckpointError, NetworkError):
    """Another process of the run has died, hangs, or does something else than this one.

    Args:
        cause: What the connection to it says.
        seconds: How long it was waited for, at most.
    """

    def __init__(self, cause: str, *, seconds: float) -> None:
        super().__init__(
            f"The processes of this run cannot agree: another one has ended, or did not come within "
            f"{seconds:g} s ({cause}).",
            hint="Nothing was committed. Every process has to save, restore and load at the same points; "
            "start all of them again to go on from the newest checkpoint.",
        )
        self.cause = cause
        self.seconds = seconds


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


class SnapshotChangedError(CheckpointError, ConflictError):
    """Tensors were changed between the call that saves and the next optimizer step, by something else.

    Parameters of a saved optimizer are copied while the training goes on; what a forward pass or an
    optimizer does is taken care of. Nothing was committed: a checkpoint never mixes two moments.

    Args:
        tensors: Which, as they would be written in Python: ``"model['weight']"``.
    """

    def __init__(self, tensors: Sequence[str]) -> None:
        shown = ", ".join(tensors[:3])
        more = f" and {len(tensors) - 3} more" if len(tensors) > 3 else ""
        super().__init__(
            f"{shown}{more} changed after the call that saves and before the next optimizer step, "
            "so the state of that moment was not saved.",
            hint="Change parameters by hand before saving or after the next step, or pass "
            "snapshot='eager' to CheckpointManager.",
        )
        self.tensors = tuple(tensors)


class StateMismatchError(CheckpointError, IncompatibleStateError):
    """A saved component does not fit the live object it should go into.

    Args:
        component: The component's name.
        differences: What differs, one clause each.
        hint: What to do about it.
    """

    def __init__(
        self, component: str, differences: Sequence[str], *, hint: str | None = None
    ) -> None:
        shown = list(differences[:8])
        if len(differences) > len(shown):
            shown.append(f"and {len(differences) - len(shown)} more")
        super().__init__(
            f"The saved {component!r} does not fit the live one: {'; '.join(shown)}.",
            hint=hint
            or "Build the same objects as when it was saved, or use load() for the raw state.",
        )
        self.component = component
        self.differences = tuple(differences)


class UnknownTypeError(CheckpointError, ValidationError, TypeError):
    """A state holds a value that cannot be written without pickle.

    Args:
        path: Where in the state, as it would be written in Python: ``"scheduler['fn']"``.
        found: What is there, in words.
        hint: What to do about it.
    """

    def __init__(self, path: str, found: str, *, hint: str | None = None) -> None:
        super().__init__(
            f"{path} is {found}, which a checkpoint cannot hold.",
            hint=hint or "Leave it out of the state, or teach the codec with register_codec().",
        )
        self.path = path
        self.found = found


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


class WorldSizeError(StateMismatchError):
    """A checkpoint was saved by another number of processes, and something in it depends on that.

    Args:
        component: The component that does.
        differences: What keeps it from being restored, one clause each.
        saved: How many processes saved it.
        found: How many there are now.
        components: Everything of which each process has its own.
    """

    def __init__(
        self,
        component: str,
        differences: Sequence[str],
        *,
        saved: int,
        found: int,
        components: Sequence[str],
    ) -> None:
        apart = f" or pass allow_missing={set(components)!r}" if components else ""
        super().__init__(
            component,
            [f"it was saved by {_processes(saved)}, and there {_are(found)} now", *differences],
            hint=f"Start {_processes(saved)}, or say that the run may go on differently: a TrainingState with "
            f"on_change='override' carries the position over{apart and ','}{apart} to leave them as they "
            "are.",
        )
        self.saved = saved
        self.found = found


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _are(count: int) -> str:
    return f"{'is' if count == 1 else 'are'} {_processes(count)}"
