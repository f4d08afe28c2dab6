"""An input to try a model on, always the same one."""

from __future__ import annotations

import inspect
from typing import Any, Dict, Mapping

__all__ = ["sample_inputs"]

_SEED = 20240229
_LENGTH = 8


def sample_inputs(model: Any) -> Dict[str, Any] | None:
    """Make an input for a model, from what its forward takes and its configuration says.

    Args:
        model: The model.

    Returns:
        Keyword arguments of its forward; None where they cannot be told.
    """
    import torch

    generator = torch.Generator().manual_seed(_SEED)
    config: Any = getattr(model, "config", None)
    names = _names(model)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    vocabulary = _first(text, "vocab_size") or _first(config, "vocab_size")
    found: Dict[str, Any] = {}
    if "input_ids" in names and vocabulary:
        found["input_ids"] = _ids(vocabulary, generator)
    if "decoder_input_ids" in names and getattr(config, "is_encoder_decoder", False):
        found["decoder_input_ids"] = _ids(vocabulary or 2, generator)
    if "pixel_values" in names:
        vision = getattr(config, "vision_config", None) or config
        size = _first(vision, "image_size") or 32
        sides = tuple(size)[:2] if isinstance(size, (list, tuple)) else (size, size)
        channels = _first(vision, "num_channels") or 3
        found["pixel_values"] = torch.randn(1, channels, *sides, generator=generator)
    if not found and len(names) >= 1:
        return _by_first_layer(model, names, generator)
    return found or None


def _names(model: Any) -> Mapping[str, Any]:
    """Name the arguments of forward; of a parent's, where one only hands everything on."""
    for cls in type(model).__mro__:
        if "forward" not in vars(cls):
            continue
        parameters = inspect.signature(vars(cls)["forward"]).parameters
        found = {
            name: parameter
            for name, parameter in parameters.items()
            if name != "self"
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        }
        if found:
            return found
    return {}


def _ids(vocabulary: int, generator: Any) -> Any:
    import torch

    return torch.randint(0, vocabulary, (2, _LENGTH), generator=generator)


def _by_first_layer(model: Any, names: Mapping[str, Any], generator: Any) -> Dict[str, Any] | None:
    """A module with one argument: its first layer tells what that is."""
    import torch

    required = [name for name, each in names.items() if each.default is each.empty]
    if len(required) != 1:
        return None
    for layer in model.modules():
        if isinstance(layer, torch.nn.Embedding):
            return {required[0]: _ids(layer.num_embeddings, generator)}
        if isinstance(layer, torch.nn.Linear):
            return {required[0]: torch.randn(2, layer.in_features, generator=generator)}
        for kind, sides in ((torch.nn.Conv1d, 1), (torch.nn.Conv2d, 2), (torch.nn.Conv3d, 3)):
            if isinstance(layer, kind):
                shape = (2, layer.in_channels, *(32,) * sides)
                return {required[0]: torch.randn(*shape, generator=generator)}
    return None


def _first(config: Any, *names: str) -> Any:
    return next((getattr(config, name) for name in names if getattr(config, name, None)), None)
