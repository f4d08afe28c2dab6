"""Which tensors change in ``optimizer.step()`` alone, so that a snapshot may copy them later.

The rule is narrow on purpose. A tensor may be copied later only if it is

- a parameter that requires a gradient, or part of the state kept for it, of an optimizer that is saved
  in the same call, and
- the optimizer is torch's own kind, whose every step runs the hooks that make it wait.

Everything else is copied at once: buffers, frozen parameters (nothing says what changes them), models
saved without their optimizer, averaged copies, anything with its own ``state_dict``. So are parameters
that a forward pass changes (embeddings with ``max_norm``, FSDP's) or another process does (in shared
memory), small tensors, for which the bookkeeping costs more than the copy, and slices.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Set

import torch
from torch import nn
from torch.optim import Optimizer

from hfl_checkpoint._arena import compact_strides

_SMALL_BYTES = 256 << 10


class Deferrable:
    """The tensors of a save that may be copied later.

    Args:
        components: What is saved.
    """

    def __init__(self, components: Mapping[str, Any]) -> None:
        self._components: Set[str] = set()
        self._live: Dict[int, torch.Tensor] = {}
        optimizers = {
            name: optimizer
            for name, optimizer in components.items()
            if isinstance(optimizer, Optimizer) and _runs_hooks(optimizer)
        }
        if not optimizers:
            return
        modules = {name: item for name, item in components.items() if isinstance(item, nn.Module)}
        self._components.update(optimizers, modules)
        for optimizer in optimizers.values():
            for tensor in _changed_by(optimizer):
                if _is_candidate(tensor):
                    self._live[tensor.data_ptr()] = tensor
        for module in modules.values():
            for tensor in _changed_by_forward(module):
                self._live.pop(tensor.data_ptr(), None)

    def find(self, component: str, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return the live tensor whose elements these are, if they may be copied later.

        Args:
            component: The component to which it belongs.
            tensor: What is written: the live tensor, or a view of the same elements.
        """
        if not self._live or component not in self._components:
            return None
        live = self._live.get(tensor.data_ptr())
        if live is None or live.device != tensor.device:
            return None
        if live.numel() * live.element_size() != tensor.numel() * tensor.element_size():
            return None
        return live if tensor.stride() == compact_strides(tensor) else None


def flat(tensor: torch.Tensor) -> torch.Tensor:
    """The elements of a dense tensor in the order of its memory."""
    return tensor.as_strided((tensor.numel(),), (1,))


def _runs_hooks(optimizer: Optimizer) -> bool:
    """Whether every step of an optimizer runs the hooks that torch has for all optimizers.

    torch wraps ``step`` when an optimizer is built. A class that does not call torch's constructor has
    none of it, except for wrappers (accelerate's) that hand the step on to an optimizer which has.
    """
    if getattr(type(optimizer).step, "hooked", False):
        return True
    inner = getattr(optimizer, "optimizer", None)
    return (
        isinstance(inner, Optimizer)
        and _runs_hooks(inner)
        and inner.param_groups is optimizer.param_groups
    )


def _changed_by(optimizer: Optimizer) -> Iterator[torch.Tensor]:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.requires_grad:
                yield parameter
                yield from _tensors_in(optimizer.state.get(parameter))


def _tensors_in(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors_in(item)


def _is_candidate(tensor: torch.Tensor) -> bool:
    return (
        type(tensor) in (torch.Tensor, nn.Parameter)
        and tensor.layout is torch.strided
        and tensor.device.type in ("cpu", "cuda")
        and tensor.numel() * tensor.element_size() >= _SMALL_BYTES
        and not tensor.is_inference()  # torch does not count their changes
        and tensor.stride() == compact_strides(tensor)
        and not (tensor.device.type == "cpu" and tensor.is_shared())  # type: ignore[no-untyped-call]  # torch has no types for it
    )


def _changed_by_forward(module: nn.Module) -> Iterator[torch.Tensor]:
    for child in module.modules():
        # torch.nn.Embedding: "forward will modify the weight" when max_norm is given.
        if getattr(child, "max_norm", None) is not None or _is_sharding(child):
            yield from child.parameters()


def _is_sharding(module: nn.Module) -> bool:
    """Whether a module is FSDP's, which exchanges the memory of its parameters in every pass."""
    return any(
        cls.__name__.startswith(("FullyShardedDataParallel", "FSDP"))
        for cls in type(module).__mro__
    )
