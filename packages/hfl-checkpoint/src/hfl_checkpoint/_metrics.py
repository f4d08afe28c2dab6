"""Metrics as they come from a training loop: numbers of many types, missing, not a number."""

from __future__ import annotations

import numbers
from typing import Any, Dict, Mapping

from hfl_core import get_logger

_log = get_logger(__name__)


def as_numbers(metrics: Mapping[str, Any], warned: set[str]) -> Dict[str, float]:
    """Turn metrics into plain floats.

    A metric never makes a save fail: None is left out, and what is not one number is left out with a
    warning, once for each name.

    Args:
        metrics: Name to number, 0-d tensor or array, or None.
        warned: Names that were warned about; extended.

    Returns:
        Name to float, NaN and infinities included.
    """
    found: Dict[str, float] = {}
    for name, value in metrics.items():
        if value is None:
            continue
        try:
            found[name] = _as_float(value)
        except (TypeError, ValueError, RuntimeError) as error:
            if name not in warned:
                warned.add(name)
                _log.warning("metric %r is not recorded: %s", name, error)
    return found


def _as_float(value: Any) -> float:
    if isinstance(value, numbers.Real):
        return float(value)
    if hasattr(value, "item"):
        return float(value.item())
    raise TypeError(f"a {type(value).__name__} is not a number")
