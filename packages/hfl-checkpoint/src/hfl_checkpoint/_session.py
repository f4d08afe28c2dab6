"""What the parts of a checkpoint manager share: the line of training, and the save under way."""

from __future__ import annotations

import dataclasses
import os
import threading
from typing import TYPE_CHECKING, Any, Dict, List

from hfl_checkpoint import _endings
from hfl_checkpoint._background import BackgroundSaver
from hfl_checkpoint._catalog import Catalog
from hfl_checkpoint._ranks import Alone, team_of
from hfl_core import ConfigError, get_logger, log_fields, set_log_context

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint, RestoreReport
    from hfl_checkpoint._find import Which

_log = get_logger(__name__)

# The run that a manager named in the log's context last.
_logged_last: Dict[str, Any] = {}


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
        self._logged: Dict[str, Any] = {}
        self._is_closed = False
        self._process = os.getpid()
        self._turn = threading.RLock()
        self._known_team = Alone()

    @property
    def _team(self) -> Alone:
        """The processes that train together now: they may have come together after this was made."""
        self._known_team = team_of(self._known_team)
        return self._known_team

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the save under way.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: It is still being written.
            HflError: What went wrong with it.
        """
        self._require_own_process()
        if self._saver is not None:
            self._saver.wait(timeout)
            _endings.give_back_termination()

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

    def _committed(self, checkpoint: Checkpoint) -> None:
        """Do what follows a commit, before anything is deleted; here, nothing."""

    def _give_up_for(self, upcoming: Checkpoint) -> None:
        """Give up what has to make way for a checkpoint on a full disk; here, nothing waits."""

    def _now_training(self, report: RestoreReport | None) -> None:
        """Learn that training begins, or goes on from a checkpoint; here, nobody is told."""

    def _arrive(self, which: Which) -> Which:
        """Bring a checkpoint here that lies elsewhere; here, all are where they are."""
        return which

    def _enter_log(self, run_id: str, step: int) -> None:
        """Let every record of the process say which run and step it belongs to."""
        if not self._logged:
            known = log_fields()  # what the program has set itself stays as it is
            mine = {"run": self._run.path.name, "run_id": run_id}
            # What somebody said stays; what a manager said that was never closed does not.
            self._logged = {
                name: value
                for name, value in mine.items()
                if name not in known or known[name] == _logged_last.get(name)
            }
            _logged_last.update(self._logged)
            self._logged["step"] = step
        set_log_context(**{**self._logged, "step": step})

    def _leave_log(self) -> None:
        known = log_fields()
        mine = [name for name, value in self._logged.items() if known.get(name) == value]
        set_log_context(**dict.fromkeys([*mine, "step"] if self._logged else []))
        self._logged = {}

    def _warn_once(self, text: str, *, key: str | None = None) -> None:
        if (key or text) not in self._warned:
            self._warned.add(key or text)
            _log.warning("%s", text)

    def _require_own_process(self) -> None:
        if self._is_forked:
            # The threads that save are the parent's, and so is the place in the order of commits.
            raise ConfigError(
                f"This checkpoint manager belongs to process {self._process}, and this is its fork "
                f"{os.getpid()}.",
                hint="Make a manager in the process that uses it.",
            )

    @property
    def _is_forked(self) -> bool:
        return os.getpid() != self._process

    def _require_open(self) -> None:
        self._require_own_process()
        if self._is_closed:
            raise ConfigError("This checkpoint manager is closed.", hint="Make a new one.")
