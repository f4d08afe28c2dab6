"""What the parts of a checkpoint manager share: the line of training, and the save under way."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, List

from hfl_checkpoint._background import BackgroundSaver
from hfl_checkpoint._catalog import Catalog
from hfl_core import ConfigError, get_logger

if TYPE_CHECKING:
    import os

_log = get_logger(__name__)


@dataclasses.dataclass
class Line:
    """Where training stands: which run it belongs to, and its last checkpoint."""

    run_id: str | None = None
    parent: str | None = None
    step: int | None = None


class Session(Catalog):
    """A run's checkpoints while one process trains.

    Args:
        directory: The run's directory.
        background: Write on another thread.
    """

    def __init__(self, directory: str | os.PathLike[str], *, background: bool) -> None:
        super().__init__(directory)
        self._saver = BackgroundSaver() if background else None
        self._line = Line()
        self._previous: tuple[int, int | None] = (0, None)
        self._warned: set[str] = set()
        self._is_closed = False
        self._turn = threading.RLock()

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the save under way.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: It is still being written.
            HflError: What went wrong with it.
        """
        if self._saver is not None:
            self._saver.wait(timeout)

    def settle(self) -> None:
        """Wait for the save under way."""
        self.wait()

    def _remark(self) -> List[str]:
        """Say, once each, what is odd about the run's directory."""
        remarks = self._run.scan().remarks
        for text in remarks:
            self._warn_once(f"{self._run.path}: {text}")
        return remarks

    def _after_restore(self) -> None:
        """Learn that training goes on from a checkpoint."""

    def _warn_once(self, text: str, *, key: str | None = None) -> None:
        if (key or text) not in self._warned:
            self._warned.add(key or text)
            _log.warning("%s", text)

    def _require_open(self) -> None:
        if self._is_closed:
            raise ConfigError("This checkpoint manager is closed.", hint="Make a new one.")
