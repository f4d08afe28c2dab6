"""Figures about numbers that come a batch at a time: moments exactly, quantiles from a sample."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional

import numpy as np

__all__ = ["Numbers"]

_LARGEST_SAMPLE = 20_000
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BINS = 20


class Numbers:
    """Smallest, largest, mean and standard deviation of numbers, their quantiles and a histogram.

    Quantiles and histogram come from every k-th number, where k doubles whenever more than 20,000 were kept:
    up to that many they are exact, beyond it the same numbers always give the same figures.
    """

    def __init__(self) -> None:
        self._count = 0
        self._seen = 0
        self._mean = 0.0
        self._squares = 0.0
        self._min = math.inf
        self._max = -math.inf
        self._stride = 1
        self._sample: List[Any] = []
        self._kept = 0

    @property
    def count(self) -> int:
        """How many numbers there were."""
        return self._count

    def update(self, values: Any) -> None:
        """Add numbers.

        Args:
            values: A numpy array of finite floats.
        """
        count = len(values)
        if not count:
            return
        mean = float(values.mean())
        apart = values - mean
        # No np.dot: its threads would wait for each other where others compute, too.
        squares = float(np.square(apart).sum())
        # Chan's formula for two parts: https://en.wikipedia.org/wiki/Algorithms_for_calculating_variance
        delta, total = mean - self._mean, self._count + count
        self._mean += delta * count / total
        self._squares += squares + delta * delta * self._count * count / total
        self._count = total
        self._min = min(self._min, float(values.min()))
        self._max = max(self._max, float(values.max()))
        self._take(values)

    def _take(self, values: Any) -> None:
        first = -self._seen % self._stride
        taken = values[first :: self._stride].copy()
        self._seen += len(values)
        self._sample.append(taken)
        self._kept += len(taken)
        while self._kept > _LARGEST_SAMPLE:
            whole = np.concatenate(self._sample)[::2]
            self._sample, self._kept, self._stride = [whole], len(whole), self._stride * 2

    def figures(self) -> Dict[str, Any]:
        """Return all figures as plain data; empty without numbers."""
        if not self._count:
            return {}
        sample = np.concatenate(self._sample)
        found: Dict[str, Any] = {
            "min": _short(self._min),
            "max": _short(self._max),
            "mean": _short(self._mean),
            "std": _short(math.sqrt(max(self._squares, 0.0) / self._count)),
            "quantiles": {
                f"{q:g}": _short(float(value))
                for q, value in zip(_QUANTILES, np.quantile(sample, _QUANTILES))
            },
        }
        histogram = self._histogram(sample)
        if histogram:
            found["histogram"] = histogram
        if self._stride > 1:
            found["sampled"] = len(sample)
        return found

    def _histogram(self, sample: Any) -> Optional[Dict[str, Any]]:
        if self._max <= self._min or not math.isfinite(self._max - self._min):
            return None
        counts, edges = np.histogram(sample, bins=_BINS, range=(self._min, self._max))
        scaled = counts * (self._count / len(sample))
        return {
            "counts": [round(float(each)) for each in scaled],
            "edges": [_short(float(edge)) for edge in edges],
        }


def _short(value: float) -> Any:
    """Round to what a person reads; whole numbers lose their point."""
    if value.is_integer() and abs(value) < 2**53:
        return int(value)
    return float(f"{value:.8g}")
