"""Whether a dataset is still the one that it was."""

from __future__ import annotations

import hashlib
from typing import Any, Optional

import numpy as np
from torch.utils.data import Subset


def dataset_fingerprint(dataset: Any) -> Optional[str]:
    """Ask a dataset for a text that stands for its content, without reading a sample.

    Args:
        dataset: Any dataset: one with a ``fingerprint`` or, as those of ``datasets``, a
            ``_fingerprint``, or a subset of any, whose indices are looked at.

    Returns:
        The text, or None where the dataset has none.
    """
    if isinstance(dataset, Subset):
        inner = dataset_fingerprint(dataset.dataset) or ""
        indices = np.asarray(dataset.indices)
        digest = hashlib.blake2b(inner.encode(), digest_size=16)
        digest.update(f"{len(dataset.indices)} {indices.dtype.str}".encode())
        digest.update(np.ascontiguousarray(indices).tobytes())
        return digest.hexdigest()
    for name in ("fingerprint", "_fingerprint"):
        value = getattr(dataset, name, None)
        if isinstance(value, str) and value:
            return value
    return None


def dataset_length(dataset: Any) -> Optional[int]:
    """Ask a dataset for its length.

    Args:
        dataset: Any dataset.

    Returns:
        The length, or None where it has none.
    """
    try:
        return len(dataset)
    except (TypeError, NotImplementedError):
        return None
