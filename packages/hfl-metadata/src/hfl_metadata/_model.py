"""The model, described by what it offers; torch itself is not needed to ask."""

from __future__ import annotations

from typing import Any

from hfl_metadata._plain import Plain, type_name
from hfl_metadata._record import ModelInfo


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
    total = trainable = size = 0
    dtypes: dict[str, int] = {}
    for index, parameter in enumerate(model.parameters()):
        try:
            count = int(parameter.numel())
        except (RuntimeError, ValueError):  # a lazy parameter that no batch has shaped yet
            plain.omit(parameter, f"model.parameters[{index}]")
            continue
        total += count
        trainable += count if parameter.requires_grad else 0
        size += count * int(parameter.element_size())
        dtype = str(parameter.dtype).replace("torch.", "")
        dtypes[dtype] = dtypes.get(dtype, 0) + count
    return ModelInfo(
        type=type_name(model),
        parameters=total,
        trainable_parameters=trainable,
        bytes=size,
        dtypes=dict(sorted(dtypes.items())),
        config=_config(model, plain),
    )


def _config(model: Any, plain: Plain) -> dict[str, Any] | None:
    to_dict = getattr(getattr(model, "config", None), "to_dict", None)
    if not callable(to_dict):
        return None
    config = plain.convert(to_dict(), "model.config")
    return config if isinstance(config, dict) else None
