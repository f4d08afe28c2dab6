"""Weights of a few bits: how a model is quantized, whether that can be published, and the way back."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Iterator, Mapping

from hfl_core import get_logger
from hfl_registry.errors import ModelValidationError, QuantizedMergeError

__all__ = ["Quantization", "quantization_of"]

_LOG = get_logger(__name__)
# Which package a quantized module or tensor comes from, and what transformers calls that method.
_MAKERS = {
    "torchao": "torchao",
    "bitsandbytes": "bitsandbytes",
    "auto_gptq": "gptq",
    "gptqmodel": "gptq",
    "awq": "awq",
    "hqq": "hqq",
    "quanto": "quanto",
    "optimum": "quanto",
    "aqlm": "aqlm",
    "eetq": "eetq",
    "compressed_tensors": "compressed-tensors",
}
_TORCH = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic", "torch.nn.quantized")


@dataclasses.dataclass(frozen=True)
class Quantization:
    """How a model is quantized.

    Attributes:
        method: ``"bitsandbytes"``, ``"torchao"``, ``"gptq"``, ``"awq"`` and so on.
        modules: The quantized modules by name.
        config: ``quantization_config`` as the model carries it; None where it carries none.

    Example:
        >>> Quantization("torchao", ("layers.0",), None).is_declared
        False
    """

    method: str
    modules: tuple[str, ...]
    config: Mapping[str, Any] | None

    @property
    def is_declared(self) -> bool:
        """Whether the configuration says so, so that others load it as it is."""
        return self.config is not None


def quantization_of(model: Any) -> Quantization | None:
    """Say how a model is quantized.

    Besides the libraries' own modules and tensors, any module counts that has ``quant_method`` and a
    ``dequantize()`` of its own.

    Args:
        model: A model, with or without adapters.

    Returns:
        What was found; None for a model in full precision.

    Example:
        >>> import torch
        >>> quantization_of(torch.nn.Linear(2, 2)) is None
        True
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    found = {name: method for name, module in base.named_modules() if (method := _method(module))}
    config = _config_of(base)
    if not found and config is None:
        return None
    declared = str(config.get("quant_method") or "") if config else ""
    method = declared or next(iter(found.values()), "unknown")
    return Quantization(method.rpartition(".")[2], tuple(found), config)


def check_storable(model: Any) -> Quantization | None:
    """Make sure that a quantized model can be written so that others load it quantized.

    Args:
        model: The model.

    Returns:
        How it is quantized; None for a model in full precision.

    Raises:
        ModelValidationError: Its configuration does not say so, or the method has no safe format.
    """
    found = quantization_of(model)
    if found is None:
        return None
    name = type(model).__name__
    if not found.is_declared:
        shown = ", ".join(map(repr, found.modules[:3]))
        raise ModelValidationError(
            name,
            [f"{shown} and others are quantized ({found.method}), but its config does not say so"],
        )
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is not None and not _is_safe(quantizer):
        raise ModelValidationError(
            name, [f"{found.method} cannot write these weights as safetensors, only as a pickle"]
        )
    return found


def dequantized(model: Any, dtype: Any) -> Any:
    """Replace every quantized layer by an ordinary one.

    Args:
        model: A model without adapters, which is changed.
        dtype: The data type of the weights.

    Returns:
        The model.

    Raises:
        QuantizedMergeError: There is no way back from this method.
    """
    import torch

    found = quantization_of(model)
    if found is None:
        return model
    for name in found.modules:
        parent, _, last = name.rpartition(".")
        module = model.get_submodule(name)
        weight = _full_weight(module, type(model).__name__, found.method)
        bias = getattr(module, "bias", None)
        out_features, in_features = weight.shape
        layer = torch.nn.Linear(in_features, out_features, bias=bias is not None, dtype=dtype)
        with torch.no_grad():
            layer.weight.copy_(weight)
            if bias is not None:
                layer.bias.copy_(bias)
        setattr(model.get_submodule(parent), last, layer.to(weight.device))
    _undeclare(model)
    return model.to(dtype)


def _method(module: Any) -> str | None:
    """How one module is quantized; None if it is not."""
    declared = getattr(module, "quant_method", None)
    if declared and callable(getattr(module, "dequantize", None)):
        return str(declared)
    for thing in (module, *_own_tensors(module)):
        origin = type(thing).__module__
        method = _MAKERS.get(origin.partition(".")[0])
        # A library's plain layers count no more than torch's: only those that hold few bits.
        if method and (thing is not module or "inear" in type(thing).__name__):
            return method
        if origin.startswith(_TORCH):
            return "torch"
    return None


def _own_tensors(module: Any) -> Iterator[Any]:
    for parameter in module._parameters.values():
        if parameter is not None:
            yield parameter
            if type(parameter.data) is not type(parameter):
                yield parameter.data


def _config_of(base: Any) -> Mapping[str, Any] | None:
    found = getattr(getattr(base, "config", None), "quantization_config", None)
    if found is None:
        return None
    to_dict: Callable[[], Any] | None = getattr(found, "to_dict", None)
    said = to_dict() if callable(to_dict) else found
    return dict(said) if isinstance(said, Mapping) else {}


def _is_safe(quantizer: Any) -> bool:
    ask = getattr(quantizer, "is_serializable", None)
    if ask is None:
        return True
    try:
        # A property before transformers 5, a method since 4.47 or so.
        return bool(ask(safe_serialization=True) if callable(ask) else ask)
    except TypeError:
        return bool(ask())


def _full_weight(module: Any, base: str, method: str) -> Any:
    weight = getattr(module, "weight", None)
    for thing in (module, weight):
        back = getattr(thing, "dequantize", None)
        if callable(back) and (thing is module or type(thing).__module__ != "torch.nn.parameter"):
            return back().detach()
    if method == "bitsandbytes":
        from peft.utils.integrations import dequantize_module_weight

        return dequantize_module_weight(module).detach()
    raise QuantizedMergeError(base, method=method, reason="it has no way back to full precision")


def _undeclare(model: Any) -> None:
    config: Any = getattr(model, "config", None)
    if getattr(config, "quantization_config", None) is not None:
        del config.quantization_config
    for name in ("hf_quantizer", "quantization_method", "is_quantized", "_is_quantized"):
        if name in vars(model):
            delattr(model, name)
    for name in ("is_loaded_in_4bit", "is_loaded_in_8bit"):
        if getattr(model, name, False):
            setattr(model, name, False)
