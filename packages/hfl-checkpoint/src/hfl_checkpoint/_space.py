"""What happens when the disk is full: the save fails, makes room, or waits for room."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
import time
from typing import TYPE_CHECKING, Callable, Literal, Mapping, Sequence, TypeVar

from hfl_checkpoint import _cleanup
from hfl_checkpoint._checkpoint import Checkpoint
from hfl_checkpoint._retention import KeepAny, KeepBest, KeepBoth, KeepLast
from hfl_core import DiskSpaceError, get_logger

if TYPE_CHECKING:
    from hfl_checkpoint._retention import KeepPolicy
    from hfl_checkpoint._run import RunDirectory
    from hfl_checkpoint._writer import Draft

WhenFull = Literal["raise", "prune", "pause"]

_LONGEST_POLL_SECONDS = 30.0

_Result = TypeVar("_Result")

_log = get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class _KeepBeside:
    """Keeps what a policy will still want once another checkpoint is there."""

    policy: KeepPolicy
    upcoming: Checkpoint

    def select(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        chosen = dict(self.policy.select([*checkpoints, self.upcoming]))
        chosen.pop(self.upcoming.name, None)
        return chosen


class Room:
    """Finds room for checkpoints.

    Args:
        run: The run's directory.
        keep: The retention policy.
        when_full: ``"raise"``, ``"prune"`` or ``"pause"``.
        tell: Called with a sentence when room runs out, and when there is some again. It never raises.
        give_up: Called with a checkpoint that is to be written, before others make way for it: what
            only waits to be published, and will not be once that one is there, need not wait.
        pause_seconds: How long a pause may last.
        poll_seconds: How soon a pause looks for room; then more and more rarely.
    """

    def __init__(
        self,
        run: RunDirectory,
        keep: KeepPolicy,
        when_full: WhenFull,
        *,
        tell: Callable[[str], object] | None = None,
        give_up: Callable[[Checkpoint], object] | None = None,
        pause_seconds: float = 3600.0,
        poll_seconds: float = 1.0,
    ) -> None:
        self._run = run
        self._keep = keep
        self._when_full = when_full
        self._notify = tell
        self._give_up = give_up
        self.pause_seconds = pause_seconds
        self.poll_seconds = poll_seconds
        self._is_first = True

    def look_ahead(self, size: int, run_id: str) -> None:
        """Warn, before the first save, when what the policy keeps will not fit.

        Args:
            size: Bytes of the checkpoint that is about to be written.
            run_id: The run that it belongs to.
        """
        if not self._is_first:
            return
        self._is_first = False
        own = [item for item in self._run.scan().checkpoints if item.run_id == run_id]
        kept = bound(self._keep)
        # While a checkpoint is written, the one that will make way for it is still there.
        more = 2 if kept is None else max(1, kept + 1 - len(own))
        free = shutil.disk_usage(self._run.path).free
        if more * size > free:
            wanted = "two" if kept is None else f"the {kept} that keep= asks for and the next one"
            self._tell(
                f"the disk will be full soon: checkpoints here take {size:,} bytes each, and {free:,} "
                f"bytes are free, which is too little for {wanted}"
            )

    def make(self, write: Callable[[], _Result], draft: Draft, run_id: str) -> _Result:
        """Write, and when the disk is full, do as the policy says and write again.

        Args:
            write: What writes; it leaves nothing behind when it raises.
            draft: What is written.
            run_id: The run that it belongs to.

        Returns:
            What `write` returns.

        Raises:
            DiskSpaceError: There is no room, and none could be made or waited for.
        """
        try:
            return write()
        except DiskSpaceError as error:
            if self._when_full == "prune":
                self._prune(draft, run_id, error)
                return write()
            if self._when_full == "pause":
                return self._pause(write, draft.step, error)
            raise

    def _prune(self, draft: Draft, run_id: str, error: DiskSpaceError) -> None:
        upcoming = _upcoming(draft, run_id, self._run)
        if self._give_up is not None:
            self._give_up(upcoming)
        done = _cleanup.clean(self._run, _KeepBeside(self._keep, upcoming))
        if not done.delete:
            for decision in done.protected:
                if decision.checkpoint.run_id == run_id:
                    _log.warning(
                        "%s does not make way for step %d: %s",
                        decision.checkpoint.name,
                        draft.step,
                        decision.reason,
                    )
            raise error
        names = ", ".join(decision.checkpoint.name for decision in done.delete)
        self._tell(f"the disk is full: {names} made way for step {draft.step} before it is written")

    def _pause(self, write: Callable[[], _Result], step: int, error: DiskSpaceError) -> _Result:
        self._tell(
            f"{error.message} The save of step {step} waits for room, at most "
            f"{self.pause_seconds:.0f} s."
        )
        end = time.monotonic() + self.pause_seconds
        pause = self.poll_seconds
        while time.monotonic() < end:
            time.sleep(pause)
            # A quota shows only once much is written, so it is not asked for every second.
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
            try:
                result = write()
            except DiskSpaceError as again:
                error = again
                continue
            self._tell(f"There was room again: step {step} is saved.")
            return result
        raise error

    def _tell(self, text: str) -> None:
        _log.warning("%s", text)
        if self._notify is not None:
            self._notify(text)


def bound(policy: KeepPolicy) -> int | None:
    """How many checkpoints a policy keeps at most, or None when nobody can tell."""
    if isinstance(policy, (KeepLast, KeepBest)):
        return policy.n
    if isinstance(policy, (KeepAny, KeepBoth)):
        bounds = [bound(item) for item in policy.policies]
        known = [item for item in bounds if item is not None]
        if isinstance(policy, KeepBoth):
            return min(known, default=None)
        return sum(known) if len(known) == len(bounds) else None
    return None


def _upcoming(draft: Draft, run_id: str, run: RunDirectory) -> Checkpoint:
    """The checkpoint as the policy will see it once it is committed."""
    checkpoints = run.scan().checkpoints
    return Checkpoint(
        name=".upcoming",  # no checkpoint's name begins with a dot
        step=draft.step,
        epoch=draft.epoch,
        sequence=1 + max((item.sequence for item in checkpoints), default=0),
        run_id=run_id,
        created_at=datetime.datetime.now(datetime.timezone.utc),
        metrics=draft.metrics,
        reason=draft.reason,
        components=tuple(item.name for item in draft.components),
        path=run.path / ".upcoming",
        pinned=False,
        labels=(),
        size=draft.size,
    )
