"""The only place that knows that versions of transformers and peft differ."""

from __future__ import annotations

import functools
from typing import Any

__all__ = ["dtype_argument", "resize_vocabulary"]


@functools.lru_cache(maxsize=None)
def dtype_argument() -> str:
    """What ``from_pretrained`` calls the data type: ``"dtype"``, and ``"torch_dtype"`` until 4.55."""
    import transformers

    major, minor = transformers.__version__.split(".")[:2]
    return "dtype" if (int(major), int(minor)) >= (4, 56) else "torch_dtype"


def resize_vocabulary(model: Any, size: int) -> None:
    """Give a model another number of tokens; what is in new rows comes from whoever calls this.

    Without `mean_resizing` the rows are not computed from the mean of the old ones, which takes
    a covariance of the whole embedding and is thrown away here.
    """
    model.resize_token_embeddings(size, mean_resizing=False)
