"""Questions about a live model with adapters."""

from __future__ import annotations

from typing import Any, Iterable

from hfl_core import import_extra
from hfl_registry.errors import ModelValidationError

__all__ = ["base_class_of", "dtype_of", "has_adapters", "peft", "require_adapters", "rows_of"]

_WRAPPERS = ("_orig_mod", "module")


def peft() -> Any:
    """Import peft.

    Raises:
        MissingExtraError: It is not installed.
    """
    return import_extra("peft", feature="publishing adapters", extra="hfl-registry[peft]")


def has_adapters(model: Any) -> bool:
    """Whether a model is one of peft's, without importing peft."""
    return any(cls.__name__ == "PeftModel" for cls in type(unwrapped(model)).__mro__)


def unwrapped(model: Any) -> Any:
    """Look inside of what `torch.compile` and `DistributedDataParallel` put around a model."""
    while True:
        inner = next(
            (
                found
                for name in _WRAPPERS
                if type(model).__name__
                in ("OptimizedModule", "DistributedDataParallel", "DataParallel")
                and (found := getattr(model, name, None)) is not None
            ),
            None,
        )
        if inner is None:
            return model
        model = inner


def require_adapters(model: Any) -> Any:
    """Make sure that a model's adapters can be published as they are.

    Args:
        model: The model, maybe wrapped.

    Returns:
        The ``PeftModel``.

    Raises:
        ModelValidationError: It has none, they are of several kinds at once, or a tensor has no
            data.
        MissingExtraError: peft is not installed.
    """
    peft()
    model = unwrapped(model)
    name = type(model).__name__
    if name == "PeftMixedModel":
        raise ModelValidationError(
            name, ["adapters of several kinds in one model cannot be saved by peft"]
        )
    if not has_adapters(model):
        problem = "it has no adapters"
        if getattr(model, "_hf_peft_config_loaded", False):
            problem = "its adapters were added with add_adapter(); use peft.get_peft_model()"
        raise ModelValidationError(name, [problem])
    empty = [key for key, tensor in _tensors(model) if tensor.device.type == "meta"]
    if empty:
        shown = ", ".join(repr(key) for key in empty[:5])
        more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
        raise ModelValidationError(
            type(model.get_base_model()).__name__,
            [
                f"{shown}{more} {'is' if len(empty) == 1 else 'are'} on the meta device, without data"
            ],
        )
    return model


def _tensors(model: Any) -> Iterable[tuple[str, Any]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def rows_of(model: Any) -> int | None:
    """How many tokens the input embedding of a model knows; None where it has none."""
    ask = getattr(model, "get_input_embeddings", None)
    if not callable(ask):
        return None
    try:
        weight = getattr(ask(), "weight", None)
    except (NotImplementedError, AttributeError):  # a vision model, or one of the user's own
        return None
    return int(weight.shape[0]) if weight is not None and weight.dim() == 2 else None


def base_class_of(model: Any) -> str:
    """The class of a model as ``module:name``."""
    cls = type(model)
    return f"{cls.__module__}:{cls.__qualname__}"


def dtype_of(model: Any) -> str:
    """The data type of most of a model's floating-point weights."""
    counts: dict[str, int] = {}
    for parameter in model.parameters():
        if parameter.is_floating_point():
            name = str(parameter.dtype).replace("torch.", "")
            counts[name] = counts.get(name, 0) + int(parameter.numel())
    return max(counts, key=lambda name: counts[name]) if counts else "float32"
