"""What every process of a training has of its own: random streams, positions in the data, means."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from hfl_state import RngState

FORMAT = 1


class RankState:
    """The component with it; saved once for each process.

    Nothing is moved when a state is loaded but when the loop is where it was: only the callback knows when.

    Args:
        loaders: The positions of the training loaders.
        progress: What of the epoch in progress is to be saved.
        on_change: As for `hfl_state.RngState`.
        streams: Where the random streams stood, if that is not where they stand now.
    """

    per_rank = True
    restore_last = True

    def __init__(
        self,
        loaders: List[Dict[str, Any] | None],
        progress: Mapping[str, Any],
        *,
        on_change: Any = "error",
        streams: Mapping[str, Any] | None = None,
    ) -> None:
        self._loaders = loaders
        self._progress = progress
        self._rng = RngState(on_change=on_change)
        self._streams = streams
        self.saved: Dict[str, Any] | None = None

    def state_dict(self) -> Dict[str, Any]:
        """Return where all stands; nothing is drawn."""
        return {
            "format": FORMAT,
            "rng": self._rng.state_dict() if self._streams is None else self._streams,
            "loaders": self._loaders,
            "progress": self._progress,
        }

    def check(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words what keeps the streams from being restored."""
        if saved.get("format") != FORMAT or not isinstance(saved.get("rng"), Mapping):
            return ["It does not hold the random streams of a training with Lightning."]
        return self._rng.check(saved["rng"])

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Keep a saved state."""
        self.saved = dict(saved)

    def restore_streams(self) -> None:
        """Put the random streams where they were."""
        if self.saved is not None:
            self._rng.load_state_dict(self.saved["rng"])
