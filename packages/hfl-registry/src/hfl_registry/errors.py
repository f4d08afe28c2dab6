"""What can go wrong when a model is published for others to load.

::

    HflError
    ├── ValidationError                     (ValueError)
    │   ├── ModelValidationError            the model is not fit to be published
    │   ├── UnportableCodeError             its code would not run on another machine
    │   ├── UnpinnedBaseError               nobody else can find the model it builds on
    │   └── QuantizedMergeError             adapters would go into weights of a few bits
    ├── ConflictError
    │   └── RegistrationConflictError       the name of the model's type is taken
    ├── IncompatibleStateError              (ValueError)
    │   └── AdapterMismatchError            adapters do not fit the model that they are to go onto
    ├── NotFoundError                       (LookupError)
    │   └── StageNotFoundError              no model is in that stage
    └── IntegrityError
        ├── RoundTripError                  loaded again, it computes something else
        └── MergeError                      with its adapters merged, it computes something else
"""

from __future__ import annotations

from typing import Sequence

from hfl_core.errors import (
    ConflictError,
    IncompatibleStateError,
    IntegrityError,
    NotFoundError,
    ValidationError,
)

__all__ = [
    "AdapterMismatchError",
    "MergeError",
    "ModelValidationError",
    "QuantizedMergeError",
    "RegistrationConflictError",
    "RoundTripError",
    "StageNotFoundError",
    "UnpinnedBaseError",
    "UnportableCodeError",
]


class ModelValidationError(ValidationError):
    """The model is not fit to be published; nothing was sent.

    Args:
        name: The model's class, or where it is to go.
        problems: What is wrong, a sentence without a full stop each.

    Attributes:
        name: As given.
        problems: As given, as a tuple.

    Example:
        >>> print(ModelValidationError("Digits", ["'head.weight' is empty"]).message)
        Digits cannot be published: 'head.weight' is empty.
    """

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        super().__init__(
            f"{name} cannot be published: {'; '.join(problems)}.",
            hint="Mend these and validate again with: hfl model validate",
        )
        self.name = name
        self.problems = tuple(problems)


class UnportableCodeError(ValidationError):
    """The model's own code would not run on a machine that has only the repository.

    Args:
        class_name: The class whose code was looked at.
        missing: The modules or files that would be missing there.

    Attributes:
        class_name: As given.
        missing: As given, sorted, as a tuple.

    Example:
        >>> print(UnportableCodeError("Digits", missing=["lab.layers"]).message)
        The code of Digits needs what the repository would not hold: lab.layers.
    """

    def __init__(self, class_name: str, *, missing: Sequence[str]) -> None:
        names = tuple(sorted(missing))
        super().__init__(
            f"The code of {class_name} needs what the repository would not hold: "
            f"{', '.join(names)}.",
            hint="Move it beside the model's code, or declare the package that brings it.",
        )
        self.class_name = class_name
        self.missing = names


class UnpinnedBaseError(ValidationError):
    """The model builds on another one that nobody else could find again.

    Args:
        base: The base model as the configuration names it; a local path only by its last part.
        reason: Why that is not enough, as a clause: ``"it is a folder on this machine"``.
        hint: What to do about it; to name the repository and the commit if None.

    Attributes:
        base: As given.
        reason: As given.

    Example:
        >>> print(UnpinnedBaseError("base", reason="it is a folder on this machine").message)
        The base model 'base' cannot be found by others: it is a folder on this machine.
    """

    def __init__(self, base: str, *, reason: str, hint: str | None = None) -> None:
        super().__init__(
            f"The base model {base!r} cannot be found by others: {reason}.",
            hint=hint or "Name the repository and the commit it came from.",
        )
        self.base = base
        self.reason = reason


class RoundTripError(IntegrityError):
    """The model that was written and loaded again does not compute what the live one does.

    Args:
        name: The model's class.
        difference: The largest absolute difference between the two outputs.
        tolerance: The largest one that would have passed.

    Attributes:
        name: As given.
        difference: As given.
        tolerance: As given.

    Example:
        >>> print(RoundTripError("Digits", difference=0.5, tolerance=1e-6).message)
        Loaded again, Digits gives outputs that differ by up to 0.5; 1e-06 is allowed.
    """

    def __init__(self, name: str, *, difference: float, tolerance: float) -> None:
        super().__init__(
            f"Loaded again, {name} gives outputs that differ by up to {difference:g}; "
            f"{tolerance:g} is allowed.",
            hint="Look for weights that are not in the state dict, or for a changed dtype.",
        )
        self.name = name
        self.difference = difference
        self.tolerance = tolerance


class QuantizedMergeError(ValidationError):
    """Adapters would be merged into quantized weights, which loses most of what they learned.

    Args:
        base: The class of the base model.
        method: How it is quantized: ``"torchao"``.
        reason: Why it cannot be helped, as a clause; None where dequantizing helps.

    Attributes:
        base: As given.
        method: As given.

    Example:
        >>> print(QuantizedMergeError("LlamaForCausalLM", method="bitsandbytes").message)
        Adapters are not merged into LlamaForCausalLM, whose weights are quantized (bitsandbytes).
    """

    def __init__(self, base: str, *, method: str, reason: str | None = None) -> None:
        super().__init__(
            f"Adapters are not merged into {base}, whose weights are quantized ({method})"
            f"{'' if reason is None else f', and {reason}'}.",
            hint=(
                "Publish them unmerged"
                + ("" if reason else ", or merge into full precision: dequantize=True")
                + "."
            ),
        )
        self.base = base
        self.method = method


class AdapterMismatchError(IncompatibleStateError):
    """Adapters do not fit the model that they are to go onto.

    Args:
        adapter: The adapter's name.
        base: The class of the base model.
        problems: What does not fit, a sentence without a full stop each.
        hint: What to do about it.

    Attributes:
        adapter: As given.
        base: As given.
        problems: As given, as a tuple.

    Example:
        >>> print(AdapterMismatchError("default", "BertModel", problems=["no module 'c_attn'"]).message)
        Adapter 'default' does not fit BertModel: no module 'c_attn'.
    """

    def __init__(
        self, adapter: str, base: str, *, problems: Sequence[str], hint: str | None = None
    ) -> None:
        super().__init__(
            f"Adapter {adapter!r} does not fit {base}: "
            f"{'; '.join(problem.rstrip('.') for problem in problems)}.",
            hint=hint or "Load it onto the model and the commit that it was trained on.",
        )
        self.adapter = adapter
        self.base = base
        self.problems = tuple(problems)


class MergeError(IntegrityError):
    """With its adapters merged, a model computes something else than with them beside it.

    Args:
        name: The model's class.
        difference: The largest absolute difference between the two outputs.
        tolerance: The largest one that would have passed.
        dtype_path: Through which data types the weights went.

    Attributes:
        name: As given.
        difference: As given.
        tolerance: As given.
        dtype_path: As given.

    Example:
        >>> print(MergeError("Digits", difference=0.5, tolerance=1e-4, dtype_path="float32").message)
        Merged (float32), Digits gives outputs that differ by up to 0.5; 0.0001 is allowed.
    """

    def __init__(self, name: str, *, difference: float, tolerance: float, dtype_path: str) -> None:
        super().__init__(
            f"Merged ({dtype_path}), {name} gives outputs that differ by up to {difference:g}; "
            f"{tolerance:g} is allowed.",
            hint="Merge in a wider data type, or publish the adapters unmerged.",
        )
        self.name = name
        self.difference = difference
        self.tolerance = tolerance
        self.dtype_path = dtype_path


class StageNotFoundError(NotFoundError):
    """No model of a repository is in that stage.

    Args:
        repo_id: The repository.
        stage: The stage.
        occupied: The stages that hold a model.

    Attributes:
        repo_id: As given.
        stage: As given.
        occupied: As given, as a tuple.

    Example:
        >>> print(StageNotFoundError("me/digits", "production", occupied=["staging"]).message)
        Nothing of 'me/digits' is in production. Occupied: staging.
    """

    def __init__(self, repo_id: str, stage: str, *, occupied: Sequence[str]) -> None:
        super().__init__(
            f"Nothing of {repo_id!r} is in {stage}. Occupied: {', '.join(occupied) or 'no stage'}.",
            hint=f"Put one there: registry.stage({repo_id!r}, {stage!r}, revision=…)",
        )
        self.repo_id = repo_id
        self.stage = stage
        self.occupied = tuple(occupied)


class RegistrationConflictError(ConflictError):
    """The name of the model's type belongs to another model.

    Args:
        model_type: The name.
        holder: What has it.
        suggestion: A name that is likely to be free.

    Attributes:
        model_type: As given.
        holder: As given.

    Example:
        >>> error = RegistrationConflictError("bert", holder="BertConfig", suggestion="my-bert")
        >>> print(error.message)
        The model type 'bert' belongs to BertConfig.
    """

    def __init__(self, model_type: str, *, holder: str, suggestion: str) -> None:
        super().__init__(
            f"The model type {model_type!r} belongs to {holder}.",
            hint=f"Give yours another, model_type = {suggestion!r} for example, or unregister that one.",
        )
        self.model_type = model_type
        self.holder = holder
