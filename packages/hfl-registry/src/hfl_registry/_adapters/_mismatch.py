"""Turn what peft raises and warns about into one error that names the adapter and the base."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any, Iterator

from hfl_registry.errors import AdapterMismatchError

__all__ = ["mismatches_named"]

_RAISED = (RuntimeError, ValueError, KeyError, AttributeError, TypeError)


@contextlib.contextmanager
def mismatches_named(adapter: str, base: Any) -> Iterator[None]:
    """Name an adapter and its base in whatever goes wrong while one is put onto the other.

    Args:
        adapter: The adapter's name.
        base: The base model.

    Raises:
        AdapterMismatchError: peft raises, or warns that tensors are missing.
    """
    kind = type(base).__name__
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            yield
        except AdapterMismatchError:
            raise
        except _RAISED as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            problems = lines[:6] or [type(error).__name__]
            raise AdapterMismatchError(adapter, kind, problems=problems) from error
    for each in seen:
        text = str(each.message)
        if "missing adapter keys" in text:
            raise AdapterMismatchError(adapter, kind, problems=[text])
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
