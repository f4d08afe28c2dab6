"""How long a run has been training, over all its processes in a row."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Mapping

from hfl_state._component import FORMAT, Component, format_problems


class Clock(Component):
    """Count the seconds of a run, without those between a save and the resume from it.

    It is a component of its own, so that all others of two equal runs are equal to the bit.

    Args:
        monotonic: Seconds that never go back; for tests.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._since = monotonic()
        self._before = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the start of the training."""
        return self._before + self._monotonic() - self._since

    def state_dict(self) -> Dict[str, Any]:
        """Return the seconds.

        Returns:
            Plain values.
        """
        return {"format": FORMAT, "elapsed": self.elapsed}

    def problems(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words why a saved state cannot be one.

        Args:
            saved: What ``state_dict()`` returned.

        Returns:
            One sentence per problem.
        """
        return format_problems(saved, {"elapsed": (int, float)})

    def _apply(self, saved: Mapping[str, Any]) -> None:
        self._before, self._since = float(saved["elapsed"]), self._monotonic()
