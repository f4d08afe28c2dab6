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
        wanted = {
            (component, key): tensor
            for component, packed in components.items()
            for key, tensor in packed.stored.items()
        }
        # What the state no longer holds is given back.
        self._buffers = {place: self._buffers[place] for place in wanted if place in self._buffers}
        for place, tensor in wanted.items():
            self._buffer(place, tensor).copy_(tensor)
        return {
            component: dataclasses.replace(
                packed, stored={key: self._buffers[component, key] for key in packed.stored}
            )
            for component, packed in components.items()
        }

    def _buffer(self, place: Tuple[str, str], tensor: torch.Tensor) -> torch.Tensor:
        buffer = self._buffers.get(place)
        if buffer is None or (buffer.shape, buffer.dtype) != (tensor.shape, tensor.dtype):
            # Keeps the order of dense elements, and packs those of a slice.
            buffer = torch.empty_like(tensor, device="cpu")
            self._buffers[place] = buffer
        return buffer

    def release(self) -> None:
        """Give the memory back."""
        self._buffers.clear()
