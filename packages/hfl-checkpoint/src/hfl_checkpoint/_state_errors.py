"""What can be wrong with a state or the object it belongs to; public in `hfl_checkpoint.errors`."""

from __future__ import annotations

from typing import Sequence

from hfl_checkpoint._checkpoint_error import CheckpointError
from hfl_core import ConflictError, IncompatibleStateError, ValidationError

__all__ = ["IncompleteModelError", "SnapshotChangedError", "StateMismatchError", "UnknownTypeError"]


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
