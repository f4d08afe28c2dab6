"""The model, described by what it offers; torch itself is not needed to ask."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, List, Tuple

from hfl_metadata._facts import ModelInfo
from hfl_metadata._modules import elements, short_dtype, table_of
from hfl_metadata._plain import Plain, type_name
from hfl_metadata._quantization import describe_quantization

# What a model is put into to be trained, and under which name it lies inside.
_WRAPPERS = {
    "DataParallel": "module",
    "DeepSpeedEngine": "module",
    "DistributedDataParallel": "module",
    "FullyShardedDataParallel": "_fsdp_wrapped_module",
    "OptimizedModule": "_orig_mod",
}

# Where a configuration was loaded from, and with what, does not change the model.
_NOT_THE_MODEL = {"_name_or_path", "_commit_hash", "transformers_version"}


def describe_model(model: Any, plain: Plain) -> ModelInfo | None:
    """Describe a model.

    Args:
        model: A ``torch.nn.Module``, or anything with ``parameters()`` like it.
        plain: Converts the configuration and collects what does not fit.

    Returns:
        The description, or None, with an omission, for something that has no parameters to
        ask for.
    """
    if not callable(getattr(model, "parameters", None)):
        plain.omit(model, "model")
        return None
    model, wrappers = _unwrapped(model)
    total = trainable = size = 0
    dtypes: Dict[str, int] = {}
    for index, parameter in enumerate(model.parameters()):
        try:
            count = elements(parameter)
        except (RuntimeError, ValueError):  # a lazy parameter that no batch has shaped yet
            plain.omit(parameter, f"model.parameters[{index}]")
            continue
        total += count
        trainable += count if parameter.requires_grad else 0
        size += count * int(parameter.element_size())
        dtype = short_dtype(parameter.dtype)
        dtypes[dtype] = dtypes.get(dtype, 0) + count
    config = _config(model, plain)
    return ModelInfo(
        type=type_name(model),
        parameters=total,
        trainable_parameters=trainable,
        frozen_parameters=total - trainable,
        bytes=size,
        buffer_bytes=_buffer_bytes(model),
        dtypes=dict(sorted(dtypes.items())),
        modules=table_of(model),
        config=config,
        config_digest=None if config is None else _digest(config),
        quantization=describe_quantization(model, plain),
        wrappers=wrappers,
    )


def _unwrapped(model: Any) -> Tuple[Any, List[str]]:
    wrappers: List[str] = []
    while type(model).__name__ in _WRAPPERS and len(wrappers) < 8:
        inner = getattr(model, _WRAPPERS[type(model).__name__], None)
        if not callable(getattr(inner, "parameters", None)):
            break
        wrappers.append(type(model).__name__)
        model = inner
    return model, wrappers


def _buffer_bytes(model: Any) -> int:
    if not callable(getattr(model, "buffers", None)):
        return 0
    return sum(int(buffer.numel()) * int(buffer.element_size()) for buffer in model.buffers())


def _config(model: Any, plain: Plain) -> Dict[str, Any] | None:
    to_dict = getattr(getattr(model, "config", None), "to_dict", None)
    if not callable(to_dict):
        return None
    config = plain.convert(to_dict(), "model.config")
    return config if isinstance(config, dict) else None


def _digest(config: Dict[str, Any]) -> str:
    shape = {name: value for name, value in config.items() if name not in _NOT_THE_MODEL}
    text = json.dumps(shape, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
