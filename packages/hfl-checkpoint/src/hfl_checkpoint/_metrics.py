"""Metrics as they come from a training loop: numbers of many types, missing, not a number."""

from __future__ import annotations

import math
import numbers
from typing import Any, Dict, Mapping

from hfl_checkpoint._words import a
from hfl_core import get_logger

_log = get_logger(__name__)


def as_numbers(metrics: Mapping[str, Any], warned: set[str]) -> Dict[str, float]:
    """Turn metrics into plain floats.

    A metric never makes a save fail: None is left out, and what is not one number is left out with a
    warning, once for each name. NaN and infinities are recorded, with a warning as well: they are
    never best.

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
        problem = None
        try:
            number = found[str(name)] = _as_float(value)
        except Exception as error:  # noqa: BLE001  # item() may be anybody's
            problem = f"is not recorded: {error}"
        else:
            if not math.isfinite(number):
                problem = f"is {number}, which never counts as best"
        if problem is not None and name not in warned:
            warned.add(name)
            _log.warning("metric %r %s", name, problem)
    return found


def finite_or_none(value: Any) -> float | None:
    """Turn a metric into a finite float, or None when it is missing or is none."""
    try:
        number = math.nan if value is None else _as_float(value)
    except Exception:  # noqa: BLE001  # item() may be anybody's; saving warns of it
        return None
    return number if math.isfinite(number) else None


def _as_float(value: Any) -> float:
    if isinstance(value, numbers.Real):
        return float(value)
    if hasattr(value, "item"):
        return float(value.item())
    raise TypeError(f"{a(type(value).__name__)} is not a number")
