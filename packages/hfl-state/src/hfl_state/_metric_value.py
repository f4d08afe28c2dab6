"""When a metric is better than another."""

from __future__ import annotations

import math
from typing import Any, Optional

from hfl_core import ConfigError

MODES = ("min", "max")


def check_mode(mode: str) -> None:
    """Refuse a mode that is neither of the two.

    Args:
        mode: ``"min"`` or ``"max"``.

    Raises:
        ConfigError: It is something else.
    """
    if mode not in MODES:
        raise ConfigError(
            f"There is no mode {mode!r}.",
            hint="Use 'min' for a loss and 'max' for an accuracy.",
        )


def check_min_delta(min_delta: float) -> None:
    """Refuse a delta by which nothing could be compared.

    Args:
        min_delta: What an improvement has to exceed.

    Raises:
        ConfigError: It is negative or no number.
    """
    if not min_delta >= 0:  # also refuses NaN
        raise ConfigError(
            f"A min_delta of {min_delta!r} makes no sense.", hint="It is 0 or positive."
        )


def finite(value: Any) -> Optional[float]:
    """Read a metric as a number, or None where it cannot be compared.

    Args:
        value: A number, a tensor or array of one element, or None.

    Returns:
        The number, or None for None, NaN and infinities.

    Raises:
        ConfigError: It is not a number at all.
    """
    if value is None:
        return None
    try:
        # torch warns of float() on a loss that still has its graph, and NumPy on arrays of one element.
        number = float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"A metric is one number, not a {type(value).__name__}.",
            hint="Reduce it first, for example with .mean().",
        ) from error
    return number if math.isfinite(number) else None


def is_better(value: float, than: Optional[float], *, mode: str, min_delta: float = 0.0) -> bool:
    """Compare two values of a metric.

    Args:
        value: The new value.
        than: The best one so far, or None when there is none.
        mode: ``"min"`` or ``"max"``.
        min_delta: By how much more than this the new value has to be better.

    Returns:
        Whether the new value is better; a tie is not.
    """
    if than is None:
        return True
    gain = than - value if mode == "min" else value - than
    return gain > min_delta
