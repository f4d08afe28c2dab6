"""Models that were built on the meta device: they have shapes, and get memory when they are restored."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Tuple

import torch
from torch import nn

from hfl_checkpoint._tensors import pack, unpack


def is_on_meta(module: nn.Module) -> bool:
    """Tell whether a model has tensors without memory."""
    tensors = [*module.parameters(), *module.buffers()]
    return any(tensor.device.type == "meta" for tensor in tensors)


def materialise(
    live: Mapping[str, Any],
    saved: Mapping[str, Any],
    *,
    name: str,
    device: str | torch.device | None,
) -> Callable[[], None]:
    """Give memory to the tensors of a model that have none, sharing it as the saved ones do.

    The objects stay the same, so an optimizer that was built with them goes on knowing them.

    Args:
        live: Name to tensor of the model, as ``state_dict(keep_vars=True)`` has them.
        saved: Name to saved tensor; shapes and data types are equal.
        name: The component, for messages.
        device: Where to; None means the host.

    Returns:
        A function that takes the memory away again.
    """
    targets: Dict[int, Tuple[str, torch.Tensor]] = {}
    for key, tensor in live.items():
        if isinstance(tensor, torch.Tensor) and tensor.device.type == "meta":
            targets.setdefault(id(tensor), (key, tensor))
    packed = pack({key: saved[key] for key, _ in targets.values()}, name=name)
    stored = {
        key: torch.empty_like(tensor, device=device or "cpu")
        for key, tensor in packed.stored.items()
    }
    memory = unpack(stored, packed.layout)
    swapped: List[Tuple[torch.Tensor, torch.Tensor]] = []
    for key, tensor in targets.values():
        replacement: torch.Tensor = memory[key]
        if isinstance(tensor, nn.Parameter):
            replacement = type(tensor)(replacement, requires_grad=tensor.requires_grad)
        else:
            # Two buffers of one memory are two objects here as well.
            replacement = replacement.view(replacement.shape)
        replacement.__dict__.update(tensor.__dict__)
        _swap(tensor, replacement)
        swapped.append((tensor, replacement))

    def undo() -> None:
        for tensor, before in swapped:
            _swap(tensor, before)

    return undo


def _swap(tensor: torch.Tensor, other: torch.Tensor) -> None:
    """Exchange what two tensors are, and leave the objects where they are referred to."""
    torch.utils.swap_tensors(tensor, other)  # type: ignore[no-untyped-call]  # torch has no types there


def unknown_buffers(module: nn.Module) -> List[str]:
    """Name the buffers that are still on the meta device: those that no state dict holds."""
    return [
        name
        for name, buffer in module.named_buffers(remove_duplicate=False)
        if buffer.device.type == "meta"
    ]
