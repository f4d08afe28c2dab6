"""How many samples are in a batch whose indices nobody knows."""

from __future__ import annotations

from typing import Any, Mapping, Optional

import torch


def count_samples(batch: Any, expected: Optional[int]) -> int:
    """Count the samples of a batch by its first tensor.

    Args:
        batch: What a loader yields.
        expected: The batch size of the loader, for batches that show nothing.

    Returns:
        The length of the first tensor with a dimension, else of the batch if it is a list of samples,
        else what was expected; 1 where nothing was.

    Example:
        >>> count_samples({"x": torch.zeros(3, 2)}, expected=4)
        3
    """
    found = _first_length(batch)
    if found is not None:
        return found
    if isinstance(batch, (list, tuple)):
        return len(batch)
    return 1 if expected is None else expected


def _first_length(value: Any) -> Optional[int]:
    if isinstance(value, torch.Tensor):
        return value.shape[0] if value.dim() else None
    parts = value.values() if isinstance(value, Mapping) else value
    if not isinstance(value, (Mapping, list, tuple)):
        return None
    lengths = (_first_length(part) for part in parts)
    return next((length for length in lengths if length is not None), None)
