"""Host memory for the snapshot of one save, kept warm between saves.

Filling fresh memory costs several times as much as the copy itself, for the page faults; so the
memory stays and is filled again. It is one block, because page-locking memory for CUDA has a price per
piece, and because a block this large gets huge pages where the system has them.
"""

from __future__ import annotations

import mmap
from typing import Dict, List, Mapping, Tuple

import torch

Place = Tuple[str, str]  # component, key

_ALIGNMENT = 64


class Arena:
    """A block of host memory with a place in it for every tensor of a save."""

    def __init__(self) -> None:
        self._block: torch.Tensor | None = None
        self._buffers: Dict[Place, torch.Tensor] = {}

    @property
    def size(self) -> int:
        """Bytes that are held."""
        return 0 if self._block is None else self._block.numel()

    def places(self, tensors: Mapping[Place, torch.Tensor]) -> Dict[Place, torch.Tensor]:
        """Give every tensor a buffer of its shape, over those of the save before.

        Args:
            tensors: What is going to be copied, on any device.

        Returns:
            The buffers, uninitialised. Those of the call before are no longer valid, unless the
            tensors look the same: then they are the same ones, which costs nothing.
        """
        if self._fits(tensors):
            return self._buffers
        self._buffers = {}
        offsets: List[int] = []
        end = 0
        for tensor in tensors.values():
            offsets.append(end)
            end += -(-tensor.numel() * tensor.element_size() // _ALIGNMENT) * _ALIGNMENT
        block = self._reserve(end, pinned=any(t.device.type == "cuda" for t in tensors.values()))
        for offset, (place, tensor) in zip(offsets, tensors.items()):
            size = tensor.numel() * tensor.element_size()
            flat = block[offset : offset + size].view(tensor.dtype)
            self._buffers[place] = flat.as_strided(tensor.shape, compact_strides(tensor))
        return self._buffers

    def release(self) -> None:
        """Give the memory back."""
        self._buffers = {}
        self._block = None

    def _fits(self, tensors: Mapping[Place, torch.Tensor]) -> bool:
        if len(tensors) != len(self._buffers):
            return False
        buffers = self._buffers
        return all(
            place in buffers
            and buffers[place].dtype == tensor.dtype
            and buffers[place].shape == tensor.shape
            and buffers[place].stride() == compact_strides(tensor)
            for place, tensor in tensors.items()
        )

    def _reserve(self, size: int, *, pinned: bool) -> torch.Tensor:
        block = self._block
        # What the state no longer needs is given back.
        if block is not None and size <= block.numel() <= 2 * size + mmap.PAGESIZE:
            return block
        self._block = block = None  # before the new one: the two need not fit together
        self._block = _pinned(size) if pinned else _allocate(size)
        return self._block


def compact_strides(tensor: torch.Tensor) -> Tuple[int, ...]:
    """The strides of a compact copy: the order of dense elements stays, and a slice is packed."""
    if tensor.is_contiguous():
        return tuple(tensor.stride())
    return tuple(torch.empty_like(tensor, device="meta").stride())


def _pinned(size: int) -> torch.Tensor:  # pragma: no cover  # needs a GPU
    return torch.empty(size, dtype=torch.uint8, pin_memory=True)


def _allocate(size: int) -> torch.Tensor:
    if not (size and hasattr(mmap, "MADV_DONTFORK")):  # not Linux
        return torch.empty(size, dtype=torch.uint8)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    memory = mmap.mmap(-1, size, flags=flags)
    memory.madvise(mmap.MADV_HUGEPAGE)
    # The workers of a data loader are forks: without this, the next snapshot would copy every page
    # of the arena that such a worker shares.
    memory.madvise(mmap.MADV_DONTFORK)
    return torch.frombuffer(memory, dtype=torch.uint8)
