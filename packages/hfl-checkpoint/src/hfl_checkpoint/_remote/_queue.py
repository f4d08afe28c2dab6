"""The durable queue: which checkpoints wait for the Hub. It survives the process, and any crash.

.uploads/queue.json          replaced atomically, under the run's lock
.uploads/publishing.lock     held by whoever publishes; the system lets go of it when that one dies

A checkpoint that waits is not copied: it is protected from deletion where it is, as it is protected
while somebody reads it. One that was committed in the moment in which the process died is found by its
sequence: everything above the highest that was considered is new.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Tuple

from filelock import FileLock, Timeout

from hfl_checkpoint._remote._decide import Policies, decide
from hfl_checkpoint._remote._state import Published, from_json, to_json
from hfl_checkpoint.errors import AlreadyPublishingError, UnsupportedFormatError
from hfl_core import get_logger

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_checkpoint._checkpoint import Checkpoint
    from hfl_checkpoint._run import RunDirectory

_FILE = "queue.json"
_FORMAT = 1
_REMEMBERED = 200

_log = get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a run is published.

    Attributes:
        repo_id: The repository.
        revision: The branch.
        endpoint: The Hub's address; None for what hfl-auth finds.
        profile: The profile to act as; None for what hfl-auth finds.
        private: What the repository has to be; None if either will do.
    """

    repo_id: str
    revision: str
    endpoint: str | None = None
    profile: str | None = None
    private: bool | None = True


@dataclasses.dataclass
class Waiting:
    """The queue's content.

    Attributes:
        target: Where to; None when nothing was ever to be published.
        considered: Run to the highest sequence that was looked at.
        pending: Names that wait, oldest first, each with why it was refused so far, if it was.
        forced: Names among them that somebody asked for.
        retire: Names on the Hub that are to go from it.
        skipped: Names that were not published, with the reason; the newest last.
        published: What the Hub held of the run when it was last looked at.
    """

    target: Target | None = None
    considered: Dict[str, int] = dataclasses.field(default_factory=dict)
    pending: Dict[str, str | None] = dataclasses.field(default_factory=dict)
    forced: List[str] = dataclasses.field(default_factory=list)
    retire: List[str] = dataclasses.field(default_factory=list)
    skipped: Dict[str, str] = dataclasses.field(default_factory=dict)
    published: List[Published] = dataclasses.field(default_factory=list)

    @property
    def due(self) -> List[str]:
        """The names that wait and were not refused."""
        return [name for name, refusal in self.pending.items() if refusal is None]

    def skip(self, name: str, reason: str) -> None:
        """Take a name out, for good."""
        if self.pending.pop(name, None) is not None:
            reason = f"{reason}; it had been refused"
        self.skipped[name] = reason
        while len(self.skipped) > _REMEMBERED:
            del self.skipped[next(iter(self.skipped))]
        _log.info("%s is not published: %s", name, reason)


class UploadQueue:
    """The queue of one run.

    Args:
        run: The run's directory.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._folder: Path = run.uploads

    @property
    def _file(self) -> Path:
        return self._folder / _FILE

    def read(self) -> Waiting:
        """Read the queue; an empty one when there is none."""
        document: Dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            document = json.loads(self._file.read_bytes())
        if not (document and isinstance(document, dict)):
            return Waiting()
        found = document.get("format")
        if isinstance(found, int) and found > _FORMAT:
            raise UnsupportedFormatError(str(self._file), found=found, supported=_FORMAT)
        try:
            return _parse(document)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _log.warning("%s is damaged, and is made anew: %r", self._file, error)
            return Waiting()

    @contextlib.contextmanager
    def change(self) -> Iterator[Waiting]:
        """Change the queue: what the block leaves of it is written when it ends well."""
        self._run.files.ensure_directory(self._folder)
        with self._run.lock():
            waiting = self.read()
            before = _document(waiting)
            yield waiting
            after = _document(waiting)
            if after != before:
                data = json.dumps(after, indent=1).encode() + b"\n"
                self._run.files.replace_bytes(self._file, data)

    @contextlib.contextmanager
    def publishing(self, timeout: float = 0) -> Iterator[None]:
        """Be the only one who publishes this run.

        Args:
            timeout: Seconds to wait for another one; -1 to wait as long as it takes.

        Raises:
            AlreadyPublishingError: Another one does.
        """
        self._run.files.ensure_directory(self._folder)
        lock = FileLock(str(self._folder / "publishing.lock"), timeout=timeout)
        try:
            lock.acquire()
        except Timeout as error:
            raise AlreadyPublishingError(str(self._run.path)) from error
        try:
            yield
        finally:
            lock.release()

    def add_new(
        self,
        target: Target,
        policies: Policies | None,
        *,
        busy_with: Tuple[str, ...] = (),
        upcoming: Checkpoint | None = None,
    ) -> Waiting:
        """Take up every checkpoint that was not considered yet, and decide about all that wait.

        Args:
            target: Where to publish.
            policies: What is wanted; None leaves every decision that was made.
            busy_with: Names that are being published right now, and are not given up.
            upcoming: A checkpoint that is about to be written: it is decided as if it were there.
        """
        run_id = self._run.run_id()
        with self.change() as waiting:
            if waiting.target is None or policies is not None:
                waiting.target = target
            scan = self._run.scan()
            local = scan.checkpoints
            known = {item.name for item in (*local, *scan.foreign)}
            for name in [name for name in waiting.pending if name not in known]:
                waiting.skip(name, "it was deleted before it could be published")
            self._take_up(waiting, run_id, local)
            if policies is not None:
                verdict = decide(
                    policies,
                    local=local if upcoming is None else [*local, upcoming],
                    waiting=waiting.due,
                    refused=[name for name, why in waiting.pending.items() if why is not None],
                    published=[
                        item.checkpoint
                        for item in waiting.published
                        if item.checkpoint.run_id == run_id
                    ],
                    forced=waiting.forced,
                )
                waiting.retire = list(verdict.retire)
                for name, reason in verdict.skip.items():
                    if name not in busy_with:
                        waiting.skip(name, reason)
        return waiting

    def force(self, target: Target, name: str, *, for_good: bool) -> None:
        """Put a checkpoint into the queue because somebody asked for it.

        Args:
            target: Where to publish.
            name: The checkpoint.
            for_good: Whether no policy is to retire it from the Hub.
        """
        with self.change() as waiting:
            waiting.target = target
            waiting.pending[name] = None
            waiting.skipped.pop(name, None)
            if for_good and name not in waiting.forced:
                waiting.forced.append(name)

    @staticmethod
    def _take_up(waiting: Waiting, run_id: str | None, local: List[Checkpoint]) -> None:
        if run_id is None:
            return
        highest = waiting.considered.get(run_id, 0)
        for item in local:
            if item.sequence > highest:
                waiting.pending.setdefault(item.name, None)
                waiting.considered[run_id] = item.sequence


def names_waiting(run: RunDirectory) -> Dict[str, str]:
    """Name the checkpoints that wait to be published, with the reason why they stay."""
    if not (run.uploads / _FILE).is_file():
        return {}
    return {
        name: "it waits to be published" if refusal is None else f"not published yet: {refusal}"
        for name, refusal in UploadQueue(run).read().pending.items()
    }


def _parse(document: Dict[str, Any]) -> Waiting:
    target = document["target"]
    return Waiting(
        target=None if target is None else Target(**target),
        considered={str(run): int(n) for run, n in document["considered"].items()},
        pending={str(item["name"]): item["refused"] for item in document["pending"]},
        forced=list(map(str, document["forced"])),
        retire=list(map(str, document["retire"])),
        skipped={str(item["name"]): str(item["reason"]) for item in document["skipped"]},
        published=[from_json(item) for item in document["published"]],
    )


def _document(waiting: Waiting) -> Dict[str, Any]:
    return {
        "format": _FORMAT,
        "target": None if waiting.target is None else dataclasses.asdict(waiting.target),
        "considered": dict(waiting.considered),
        "pending": [{"name": name, "refused": why} for name, why in waiting.pending.items()],
        "forced": list(waiting.forced),
        "retire": list(waiting.retire),
        "skipped": [{"name": name, "reason": why} for name, why in waiting.skipped.items()],
        "published": [to_json(item) for item in waiting.published],
    }
