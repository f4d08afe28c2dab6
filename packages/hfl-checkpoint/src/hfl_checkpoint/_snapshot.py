"""Copies of tensors in memory that is kept warm between saves.

Filling fresh memory costs several times as much as the copy itself, for the page faults; so the
buffers stay and are filled again.
"""

from __future__ import annotations

import dataclasses
from typing import Dict, Mapping, Tuple

import torch

from hfl_checkpoint._tensors import Packed


class Arena:
    """Host buffers for the snapshot of one save at a time."""

    def __init__(self) -> None:
        self._buffers: Dict[Tuple[str, str], torch.Tensor] = {}

    def copy(self, components: Mapping[str, Packed]) -> Dict[str, Packed]:
        """Copy the tensors of components into the arena, over those of the save before.

        Args:
            components: Component to what is written of its tensors, on any device.

        Returns:
            The same, in host memory that nothing else changes.
        """
        return {
            component: dataclasses.replace(
                packed,
                stored={
                    key: self._buffer(component, key, tensor).copy_(tensor)
                    for key, tensor in packed.stored.items()
                },
            )
            for component, packed in components.items()
        }

    def _buffer(self, component: str, key: str, tensor: torch.Tensor) -> torch.Tensor:
        buffer = self._buffers.get((component, key))
        layout = (tensor.shape, tensor.dtype, tensor.stride())
        if buffer is None or (buffer.shape, buffer.dtype, buffer.stride()) != layout:
            buffer = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
            self._buffers[component, key] = buffer
        return buffer

    def release(self) -> None:
        """Give the memory back."""
        self._buffers.clear()
