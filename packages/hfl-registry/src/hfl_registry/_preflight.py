"""What is looked at before anything is written: problems that need no second process to be seen."""

from __future__ import annotations

from typing import Any, List, Mapping

from hfl_registry._jsonable import problems_in

__all__ = ["preflight", "unwrapped"]


def unwrapped(model: Any) -> Any:
    """Take a model out of DistributedDataParallel and torch.compile."""
    while True:
        name = type(model).__name__
        if name == "OptimizedModule":
            model = model._orig_mod
        elif name in ("DistributedDataParallel", "DataParallel"):
            model = model.module
        else:
            return model


def preflight(model: Any, companions: Mapping[str, Any]) -> List[str]:
    """Look at a live model.

    Args:
        model: The model.
        companions: Its tokenizer, processor and image processor, as far as there are.

    Returns:
        What is wrong, each with the name of the tensor or of the setting.
    """
    problems = _tensors(model)
    config = getattr(model, "config", None)
    if hasattr(config, "to_dict"):
        problems += problems_in(_settings(config), type(config).__name__)
    problems += _generation(model)
    return problems + _vocabulary(model, companions)


def _tensors(model: Any) -> List[str]:
    found = []
    for name, tensor in model.state_dict(keep_vars=True).items():
        if not hasattr(tensor, "numel"):
            continue
        if getattr(tensor, "is_meta", False):
            found.append(f"{name!r} is on the meta device and holds no values")
        elif tensor.numel() == 0:
            found.append(f"{name!r} is empty (shape {list(tensor.shape)})")
    return found


def _settings(config: Any) -> Any:
    """The configuration as it is, without what transformers writes in its own way."""
    return {
        name: value
        for name, value in vars(config).items()
        if not name.startswith("_")
        and name not in ("dtype", "torch_dtype", "quantization_config")
        and not hasattr(value, "to_dict")
    }


def _generation(model: Any) -> List[str]:
    generation = getattr(model, "generation_config", None)
    if generation is None:
        return []
    try:
        generation.validate(strict=True) if _has_strict(generation) else generation.validate()
    except ValueError as error:
        return [f"its generation config is not valid: {' '.join(str(error).split())[:300]}"]
    return []


def _has_strict(generation: Any) -> bool:
    return "strict" in generation.validate.__code__.co_varnames


def _vocabulary(model: Any, companions: Mapping[str, Any]) -> List[str]:
    tokenizer = companions.get("tokenizer")
    if tokenizer is None:
        tokenizer = getattr(companions.get("processor"), "tokenizer", None)
    embeddings = _embeddings(model)
    if tokenizer is None or embeddings is None:
        return []
    rows, tokens = embeddings.weight.shape[0], len(tokenizer)
    name = next((key for key, value in model.named_modules() if value is embeddings), "embeddings")
    if tokens > rows:
        text = f"'{name}.weight' has {rows} rows and the tokenizer {tokens} tokens"
        return [f"{text} (model.resize_token_embeddings({tokens}))"]
    stated = getattr(model.config, "vocab_size", rows)
    if stated != rows:
        return [f"'{name}.weight' has {rows} rows and the config says vocab_size={stated}"]
    return []


def _embeddings(model: Any) -> Any:
    try:
        found = model.get_input_embeddings()
    except (AttributeError, NotImplementedError, TypeError):
        return None
    return found if getattr(getattr(found, "weight", None), "dim", int)() == 2 else None
