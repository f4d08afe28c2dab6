"""Metrics of several checkpoints side by side."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Dict, List, Mapping, Sequence

from hfl_checkpoint._find import metrics_of

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint

_BLOCKS = "▁▂▃▄▅▆▇█"
_PLAIN = "_.-=+*#@"
_GAP = " "


@dataclasses.dataclass(frozen=True)
class Course:
    """What a metric did over several checkpoints.

    Attributes:
        metric: Its name.
        values: Name of each checkpoint to its value there, or None.
        first: The first finite value, or None.
        last: The last one.
        minimum: The lowest one.
        maximum: The highest one.
        lowest_at: The checkpoint that has the lowest one; of equal ones the older.
        highest_at: The checkpoint that has the highest one.
    """

    metric: str
    values: Mapping[str, float | None]
    first: float | None
    last: float | None
    minimum: float | None
    maximum: float | None
    lowest_at: str | None
    highest_at: str | None


def courses(checkpoints: Sequence[Checkpoint]) -> List[Course]:
    """Follow every metric over checkpoints.

    Args:
        checkpoints: The checkpoints, oldest first.

    Returns:
        A course per metric, by name.
    """
    return [_course(name, checkpoints) for name in metrics_of(checkpoints)]


def _course(metric: str, checkpoints: Sequence[Checkpoint]) -> Course:
    values = {item.name: item.metrics.get(metric) for item in checkpoints}
    finite: Dict[str, float] = {
        name: value for name, value in values.items() if value is not None and math.isfinite(value)
    }
    numbers = list(finite.values())
    if not numbers:
        return Course(metric, values, None, None, None, None, None, None)
    return Course(
        metric,
        values,
        first=numbers[0],
        last=numbers[-1],
        minimum=min(numbers),
        maximum=max(numbers),
        lowest_at=min(finite, key=finite.__getitem__),
        highest_at=max(finite, key=finite.__getitem__),
    )


def sparkline(values: Sequence[float | None], *, width: int = 24, plain: bool = False) -> str:
    """Draw values as a line of blocks, the lowest to the highest.

    Args:
        values: The values in order; what is missing or not finite leaves a gap.
        width: The most blocks; more values are averaged.
        plain: Use ASCII, for a terminal that knows nothing else.

    Returns:
        The line.

    Example:
        >>> sparkline([1.0, 0.5, None, 0.25, 0.0])
        '█▅ ▃▁'
    """
    means = _averaged(values, width)
    finite = [value for value in means if value is not None]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    blocks = _PLAIN if plain else _BLOCKS
    drawn = []
    for value in means:
        if value is None:
            drawn.append(_GAP)
        elif high == low:
            drawn.append(blocks[0])
        else:
            # Halves first: the difference of two huge numbers may be infinite.
            share = (value / 2 - low / 2) / (high / 2 - low / 2)
            drawn.append(blocks[round(share * (len(blocks) - 1))])
    return "".join(drawn)


def _averaged(values: Sequence[float | None], width: int) -> List[float | None]:
    count = min(width, len(values))
    found: List[float | None] = []
    for index in range(count):
        part = values[len(values) * index // count : len(values) * (index + 1) // count]
        finite = [value for value in part if value is not None and math.isfinite(value)]
        found.append(sum(value / len(finite) for value in finite) if finite else None)
    return found
