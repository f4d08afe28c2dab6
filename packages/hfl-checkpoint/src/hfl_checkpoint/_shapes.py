"""Models whose tensors are not there: sharded away, emptied or left out. They are refused at save."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from hfl_checkpoint import _modules
from hfl_checkpoint.errors import IncompleteModelError


def require_complete(component: str, module: nn.Module, state: Mapping[str, Any]) -> None:
    """Refuse the state of a model that lacks what the model has.

    ZeRO-3 and FSDP leave empty parameters on each process; a checkpoint of these looks like one, and
    holds nothing. What shape a parameter should have is known from the mark that DeepSpeed leaves
    (``ds_shape``), from the sizes that torch's layers keep, and for a transformers model that has an empty
    parameter from a model of the same configuration on the meta device. A parameter that is left out on
    purpose belongs into the model's ``_keys_to_ignore_on_save``.

    Args:
        component: The model's name.
        module: The model.
        state: Its state dict.

    Raises:
        IncompleteModelError: Tensors are empty or missing; they are named.
    """
    parameters = dict(module.named_parameters(remove_duplicate=False))
    canonical = _modules.strip_wrappers(module, {**parameters, **state})
    problems = _missing(_modules.unwrap(module), parameters, state, canonical)
    problems += _empty(module, parameters, state, canonical)
    if problems:
        raise IncompleteModelError(component, problems)


def _missing(
    inner: nn.Module,
    parameters: Mapping[str, nn.Parameter],
    state: Mapping[str, Any],
    canonical: Mapping[str, str],
) -> List[str]:
    ignored = [
        re.compile(str(item)) for item in getattr(inner, "_keys_to_ignore_on_save", None) or ()
    ]
    there = {id(parameters[key]) for key in state if key in parameters}
    return [
        f"{canonical[key]} is missing"
        for key, parameter in parameters.items()
        # A tied parameter is there when one of its names is.
        if key not in state
        and id(parameter) not in there
        and not any(pattern.search(canonical[key]) for pattern in ignored)
    ]


def _empty(
    module: nn.Module,
    parameters: Mapping[str, nn.Parameter],
    state: Mapping[str, Any],
    canonical: Mapping[str, str],
) -> List[str]:
    found, unknown = [], []
    layers = dict(_layer_shapes(module))
    for key, parameter in parameters.items():
        tensor = state.get(key)
        if not isinstance(tensor, torch.Tensor) or any(map(is_lazy, (parameter, tensor))):
            continue
        # The mark of DeepSpeed, else what the layer says.
        expected: Any = getattr(parameter, "ds_shape", layers.get(key))
        if expected is None and tensor.numel() == 0 and parameter.numel() > 0:
            expected = parameter.shape
        if expected is None:
            unknown += [key] if tensor.numel() == 0 else []
        elif tensor.numel() == 0 and tuple(tensor.shape) != tuple(expected):
            found.append(_clause(canonical[key], tensor, expected))
    if unknown:
        shapes = _meta_shapes(_modules.unwrap(module))
        for key in unknown:
            name = canonical[key]
            if shapes.get(name, state[key].shape) != state[key].shape:
                found.append(_clause(name, state[key], shapes[name]))
    return found


def _clause(name: str, tensor: torch.Tensor, expected: Any) -> str:
    return f"{name} has shape {list(tensor.shape)} instead of {list(expected)}"


def _layer_shapes(module: nn.Module) -> Iterator[Tuple[str, Tuple[int, ...]]]:
    """The shapes that torch's own layers say that their parameters have."""
    for path, layer in module.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        shapes: Dict[str, Tuple[int, ...]] = {}
        if type(layer) is nn.Linear:
            shapes["weight"] = (layer.out_features, layer.in_features)
            shapes["bias"] = (layer.out_features,)
        elif type(layer) is nn.Embedding:
            shapes["weight"] = (layer.num_embeddings, layer.embedding_dim)
        elif type(layer) is nn.LayerNorm:
            shapes["weight"] = shapes["bias"] = tuple(layer.normalized_shape)
        elif type(layer) in (nn.Conv1d, nn.Conv2d, nn.Conv3d):
            convolution: Any = layer
            inputs = convolution.in_channels // convolution.groups
            shapes["weight"] = (convolution.out_channels, inputs, *convolution.kernel_size)
            shapes["bias"] = (convolution.out_channels,)
        elif type(layer) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
            norm: Any = layer
            shapes["weight"] = shapes["bias"] = (norm.num_features,)
        for name, shape in shapes.items():
            yield prefix + name, shape


def _meta_shapes(inner: nn.Module) -> Dict[str, Any]:
    """The shapes of a model of the same configuration; none when it cannot be built from one."""
    config = getattr(inner, "config", None)
    if not hasattr(config, "model_type"):
        return {}
    try:
        with torch.device("meta"):
            again: nn.Module = type(inner)(config)
    except Exception:  # noqa: BLE001  # the class is the user's; its shapes are unknown then
        return {}
    return {name: parameter.shape for name, parameter in again.named_parameters()}
