"""Merge adapters into their base: on a copy, through data types that are told, and compared."""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from pathlib import Path
from typing import Any, Mapping, Sequence

from hfl_core import get_logger
from hfl_core.errors import ConfigError
from hfl_registry._adapters._inspect import dtype_of, require_adapters, rows_of
from hfl_registry._adapters._load import attach_adapters
from hfl_registry._adapters._record import BasePin
from hfl_registry._adapters._write import write_adapters
from hfl_registry._inputs import sample_inputs
from hfl_registry._quantization import dequantized, quantization_of
from hfl_registry.errors import MergeError, ModelValidationError, QuantizedMergeError

__all__ = ["MergePlan", "Merged", "merge_adapters", "plan_merge"]

_LOG = get_logger(__name__)
# By how much outputs may differ, where the largest of them is 1 or less; beyond, in proportion.
_TOLERANCES = {"float64": 1e-6, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}


@dataclasses.dataclass(frozen=True)
class MergePlan:
    """What merging would do to the weights.

    Attributes:
        adapters: The adapters that are merged.
        base_dtype: The data type of the base's weights; of quantized ones, what they turn into.
        adapter_dtype: The data type of the adapters' weights.
        compute_dtype: In which data type they are added.
        stored_dtype: The data type of the merged weights.
        quantization: How the base is quantized; None for full precision.

    Example:
        >>> plan = MergePlan(("default",), "bfloat16", "float32", "float32", "bfloat16")
        >>> plan.dtype_path
        'bfloat16 base and float32 adapter, added in float32, stored as bfloat16'
    """

    adapters: tuple[str, ...]
    base_dtype: str
    adapter_dtype: str
    compute_dtype: str
    stored_dtype: str
    quantization: str | None = None

    @property
    def dtype_path(self) -> str:
        """Through which data types the weights go, as a phrase."""
        base = f"{self.base_dtype} base"
        if self.quantization is not None:
            base = f"{self.quantization} base dequantized to {self.base_dtype}"
        return (
            f"{base} and {self.adapter_dtype} adapter, added in {self.compute_dtype}, "
            f"stored as {self.stored_dtype}"
        )


@dataclasses.dataclass(frozen=True)
class Merged:
    """A model with its adapters merged.

    Attributes:
        model: The model, of the base's class.
        plan: What was done.
        difference: The largest difference of its outputs from those with the adapters beside it.
        tolerance: The largest one that would have passed.
    """

    model: Any
    plan: MergePlan
    difference: float
    tolerance: float


def plan_merge(
    model: Any,
    *,
    adapters: Sequence[str] | None = None,
    dtype: str | None = None,
    compute_dtype: str | None = None,
    dequantize: bool = False,
) -> MergePlan:
    """Say what merging would do, without doing it.

    Args:
        model: The ``PeftModel``.
        adapters: Which adapters; the active ones if None.
        dtype: The data type of the merged weights; the base's if None.
        compute_dtype: In which to add; float32 if None, and never a narrower one than the base's.
        dequantize: Whether a quantized base may be turned into full precision first.

    Returns:
        The plan.

    Raises:
        QuantizedMergeError: The base is quantized, and `dequantize` was not asked for.
        ModelValidationError: An adapter is of a kind that has nothing to merge.
        ConfigError: There is no adapter or data type of such a name.
    """
    live = require_adapters(model)
    names = tuple(live.active_adapters if adapters is None else adapters)
    unknown = [name for name in names if name not in live.peft_config]
    if unknown or not names:
        raise ConfigError(
            f"There is no adapter {', '.join(map(repr, unknown)) or 'to merge'}.",
            hint=f"The model has: {', '.join(live.peft_config)}.",
        )
    for name in names:
        config = live.peft_config[name]
        if config.is_prompt_learning:
            raise ModelValidationError(
                f"adapter {name!r}",
                [f"{config.peft_type.value} adds tokens and no weights, so it cannot be merged"],
            )
    base = live.get_base_model()
    quantization = quantization_of(base)
    if quantization is not None and not dequantize:
        raise QuantizedMergeError(type(base).__name__, method=quantization.method)
    base_dtype = _full_dtype(base)
    stored = _checked(dtype) or base_dtype
    compute = _checked(compute_dtype) or ("float64" if base_dtype == "float64" else "float32")
    return MergePlan(
        adapters=names,
        base_dtype=base_dtype,
        adapter_dtype=_adapter_dtype(live),
        compute_dtype=compute,
        stored_dtype=stored,
        quantization=None if quantization is None else quantization.method,
    )


def merge_adapters(
    model: Any,
    *,
    adapters: Sequence[str] | None = None,
    dtype: str | None = None,
    compute_dtype: str | None = None,
    dequantize: bool = False,
    tolerance: float | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> Merged:
    """Merge adapters into a copy of their base, and compare what both compute.

    The model itself stays as it is, so for the time being there are two of it in memory.

    Args:
        model: The ``PeftModel``.
        adapters: Which adapters; the active ones if None.
        dtype: The data type of the merged weights; the base's if None.
        compute_dtype: In which to add; float32 if None.
        dequantize: Whether a quantized base may be turned into full precision first.
        tolerance: How far outputs may be apart; by the data type that is stored if None.
        inputs: What to try both on, as keyword arguments; made from the configuration if None.

    Returns:
        The merged model, and how far it is from the original.

    Raises:
        MergeError: The merged model computes something else.
        QuantizedMergeError: The base is quantized, and `dequantize` was not asked for.
        ModelValidationError: There is nothing to merge, or nothing to compare on.
        ConfigError: There is no adapter or data type of such a name.
    """
    import torch

    plan = plan_merge(
        model,
        adapters=adapters,
        dtype=dtype,
        compute_dtype=compute_dtype,
        dequantize=dequantize,
    )
    _LOG.info("Merging %s: %s.", ", ".join(plan.adapters), plan.dtype_path)
    live = copy.deepcopy(require_adapters(model)).eval()
    name = type(live.get_base_model()).__name__
    given = inputs or sample_inputs(live.get_base_model())
    if given is None:
        raise ModelValidationError(
            name, ["what its forward takes is not known; pass inputs={…} to compare it on"]
        )
    live.base_model.set_adapter(list(plan.adapters))
    expected = outputs_of(live, given)
    compute = getattr(torch, plan.compute_dtype)
    if plan.quantization is not None:
        live = _reattached(live, plan, compute)
    live = live.to(compute)
    try:
        merged = live.merge_and_unload(safe_merge=True, adapter_names=list(plan.adapters))
    except (ValueError, NotImplementedError, AttributeError) as error:
        raise ModelValidationError(name, [f"peft cannot merge it: {error}"]) from error
    merged = merged.to(getattr(torch, plan.stored_dtype)).eval()
    difference, size = _distance(expected, outputs_of(merged, given))
    allowed = tolerance
    if allowed is None:
        # What is compared with was computed in the base's own data type.
        coarser = max(_TOLERANCES[plan.stored_dtype], _TOLERANCES[plan.base_dtype])
        allowed = coarser * max(1.0, size)
    if not difference <= allowed:  # not a number counts as different
        raise MergeError(name, difference=difference, tolerance=allowed, dtype_path=plan.dtype_path)
    return Merged(merged, plan, difference, allowed)


def outputs_of(model: Any, inputs: Mapping[str, Any]) -> Any:
    """What a model computes: its logits, or whatever comes first."""
    import torch

    device = next(model.parameters()).device
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    given = {
        key: (value.to(device, dtype) if value.is_floating_point() else value.to(device))
        for key, value in inputs.items()
    }
    was_training = model.training
    model.eval()
    with torch.no_grad():
        found = model(**given)
    model.train(was_training)
    for key in ("logits", "last_hidden_state"):
        if getattr(found, key, None) is not None:
            return getattr(found, key).float().cpu()
    first = found if isinstance(found, torch.Tensor) else next(iter(_values(found)))
    return first.float().cpu()


def _values(found: Any) -> Sequence[Any]:
    return list(found.values()) if isinstance(found, Mapping) else list(found)


def _distance(expected: Any, found: Any) -> tuple[float, float]:
    if expected.shape != found.shape:
        return float("inf"), 0.0
    return float((expected - found).abs().max()), float(expected.abs().max())


def _reattached(live: Any, plan: MergePlan, dtype: Any) -> Any:
    """The same adapters on the dequantized base; peft's quantized layers cannot change their base."""
    rows = rows_of(live.get_base_model())
    with tempfile.TemporaryDirectory(prefix="hfl-") as name:
        folder = Path(name)
        pin = BasePin("base", digest="sha256:")
        record = write_adapters(
            live, folder, pin=pin, base_vocabulary=rows, adapters=list(plan.adapters)
        )
        return attach_adapters(dequantized(live.unload(), dtype), folder, record)


def _full_dtype(base: Any) -> str:
    found = dtype_of(base)
    return found if found in _TOLERANCES else "float32"


def _adapter_dtype(live: Any) -> str:
    from peft import get_peft_model_state_dict

    tensors = get_peft_model_state_dict(
        live, adapter_name=live.active_adapters[0], save_embedding_layers=False
    )
    found = {str(tensor.dtype).replace("torch.", "") for tensor in tensors.values()}
    return " and ".join(sorted(found))


def _checked(dtype: str | None) -> str | None:
    if dtype is not None and dtype not in _TOLERANCES:
        raise ConfigError(
            f"Weights are not merged in {dtype!r}.", hint=f"Use one of: {', '.join(_TOLERANCES)}."
        )
    return dtype
