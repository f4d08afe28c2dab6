"""The only place that knows that versions of accelerate differ."""

from __future__ import annotations

import re
from typing import Any, List

from hfl_core import MissingExtraError
from hfl_integrations.errors import UnsupportedFrameworkError

SUPPORTED = ">=1.0,<2"
_LOWEST, _BEYOND = (1, 0), (2, 0)

try:
    import accelerate as _accelerate
    from accelerate.data_loader import DataLoaderDispatcher, DataLoaderShard, SeedableRandomSampler
    from accelerate.utils import (
        DistributedType,
        broadcast_object_list,
        find_batch_size,
        send_to_device,
        synchronize_rng_states,
    )
except ImportError as error:
    raise MissingExtraError(
        "AcceleratedCheckpoints", extra="hfl-integrations[accelerate]"
    ) from error

__all__ = [
    "DataLoaderDispatcher",
    "DataLoaderShard",
    "SeedableRandomSampler",
    "broadcast_object_list",
    "find_batch_size",
    "has_sharded_tensors",
    "require_supported",
    "send_to_device",
    "sharded_by",
    "synchronize_rng_states",
]

# Not all versions have all of them.
_SHARDED = {
    name: getattr(DistributedType, name, None)
    for name in ("FSDP", "DEEPSPEED", "MEGATRON_LM", "TP", "XLA")
}


def require_supported(version: str | None = None) -> None:
    """Refuse a version of accelerate that is not known to work.

    Args:
        version: The version; None stands for the installed one.

    Raises:
        UnsupportedFrameworkError: It is out of range.
    """
    installed = version or str(_accelerate.__version__)
    numbers = tuple(int(part) for part in re.findall(r"\d+", installed)[:2])
    if not _LOWEST <= numbers < _BEYOND:
        raise UnsupportedFrameworkError("accelerate", installed, supported=SUPPORTED)


def sharded_by(accelerator: Any) -> str | None:
    """Name what spreads one model over several processes, or keeps it out of reach, if anything does.

    Args:
        accelerator: The accelerator.

    Returns:
        Its name, or None.
    """
    for name, kind in _SHARDED.items():
        if kind is not None and accelerator.distributed_type == kind:
            return name
    plans: List[Any] = [getattr(accelerator, "parallelism_config", None)]
    for plan in plans:
        for part in ("tp", "cp", "sp", "dp_shard"):
            if plan is not None and (getattr(plan, f"{part}_size", 1) or 1) > 1:
                return f"parallelism_config ({part}_size)"
    return None


def has_sharded_tensors(model: Any) -> bool:
    """Tell whether parameters of a model are spread over devices (tensor parallelism of older versions).

    Args:
        model: A module.

    Returns:
        Whether one is a DTensor.
    """
    return any(type(value).__name__ == "DTensor" for value in model.parameters())
