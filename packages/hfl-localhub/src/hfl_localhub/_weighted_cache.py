"""A cache for values that never change, bounded by their weight instead of their number."""

from __future__ import annotations

import collections
import threading
from typing import Generic, Optional, TypeVar

__all__ = ["WeightedCache"]

Value = TypeVar("Value")


class WeightedCache(Generic[Value]):
    """Keeps the values used last, up to a total weight. Safe to use from many threads.

    Args:
        capacity: The total weight that is kept.

    Example:
        >>> cache = WeightedCache(capacity=2)
        >>> for key in "abc":
        ...     cache.put(key, key.upper(), 1)
        >>> cache.get("a"), cache.get("c")
        (None, 'C')
    """

    def __init__(self, *, capacity: int) -> None:
        self._capacity = capacity
        self._weight = 0
        self._values: collections.OrderedDict[str, tuple[Value, int]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Optional[Value]:
        """Return the value, or None."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: str, value: Value, weight: int) -> None:
        """Keep a value, dropping what was not used for longest. One that alone is too heavy isn't kept."""
        if weight > self._capacity:
            return
        with self._lock:
            old = self._values.pop(key, None)
            self._weight += weight - (old[1] if old is not None else 0)
            self._values[key] = (value, weight)
            while self._weight > self._capacity:
                _, (_, dropped) = self._values.popitem(last=False)
                self._weight -= dropped
