"""Writing the weights of a plain module: each tensor once, in files of a limited size."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List

from hfl_core.errors import ConfigError

__all__ = ["bytes_of", "write_weights"]

_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}


def bytes_of(size: str | int) -> int:
    """Read a size as transformers writes it.

    Raises:
        ConfigError: It makes no sense.

    Example:
        >>> bytes_of("5GB")
        5000000000
    """
    if isinstance(size, int):
        return size
    found = re.fullmatch(r"(\d+)\s*([KMG]i?B)", size.strip(), re.IGNORECASE)
    if found is None:
        raise ConfigError(f"{size!r} is no size.", hint="Write it as '5GB' or '200MB'.")
    return int(found.group(1)) * _UNITS[found.group(2).upper()]


def write_weights(module: Any, folder: Path, max_shard_size: str | int) -> None:
    """Write a module's tensors.

    Args:
        module: The module.
        folder: Where to.
        max_shard_size: The size of a file.
    """
    from safetensors.torch import save_file

    limit = bytes_of(max_shard_size)
    shards: List[Dict[str, Any]] = [{}]
    used, total, seen = 0, 0, set()
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        size = tensor.numel() * tensor.element_size()
        if shards[-1] and used + size > limit:
            shards.append({})
            used = 0
        shards[-1][name] = tensor.detach()
        used, total = used + size, total + size
    names = [_name(number, len(shards)) for number in range(1, len(shards) + 1)]
    places = {}
    for name, shard in zip(names, shards):
        places.update(dict.fromkeys(shard, name))
        # One file's worth at a time: what is not laid out in a row is copied for that.
        save_file(
            {key: value.contiguous() for key, value in shard.items()},
            str(folder / name),
            metadata={"format": "pt"},
        )
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": places}
        text = json.dumps(index, indent=2, sort_keys=True) + "\n"
        (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")


def _name(number: int, count: int) -> str:
    return "model.safetensors" if count == 1 else f"model-{number:05}-of-{count:05}.safetensors"
