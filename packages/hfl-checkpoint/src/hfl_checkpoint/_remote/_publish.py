"""Publishing: one commit holds the data, the manifests, the index, and what is retired.

::

    queue → at the repository → decide → one commit → queue
                 ↑                            │
                 └── somebody was faster ─────┘

Whoever runs it, and however often: a checkpoint that is there is recognised by its manifest.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Sequence, Tuple

from hfl_checkpoint._remote._address import FOLDER
from hfl_checkpoint._remote._decide import Policies, decide
from hfl_checkpoint._remote._parts import Parts, files_to_send, free_name, manifest_identity
from hfl_checkpoint._remote._queue import Target, UploadQueue, Waiting
from hfl_checkpoint._remote._report import PublishReport
from hfl_checkpoint._remote._repository import Repository
from hfl_checkpoint._remote._state import (
    INDEX,
    Published,
    RemoteState,
    read_state,
    write_index,
)
from hfl_checkpoint.errors import CheckpointDamagedError
from hfl_core import ConflictError, HflError, RateLimitError, get_logger, translated_os_errors
from hfl_repo import HeadMovedError, UnsafeUploadError

if TYPE_CHECKING:
    import threading

    from hfl_checkpoint._checkpoint import Checkpoint
    from hfl_checkpoint._run import RunDirectory
    from hfl_repo import TransferReport

# Of eight writers, the last one loses seven times; of more, chance decides.
_MOST_OVERTAKEN = 40
_LONGEST_PAUSE = 2.0

# More than this is not sent before anything becomes visible: the newest checkpoint goes first, alone.
_BATCH_BYTES = 512 << 20

# A state may hold tensors without elements, and tell where its data lies; how a run was started is
# what its metadata are for. Home folders and secrets stay out of either.
_FINE = (
    f"{FOLDER}/*/state/*:empty-tensor",
    f"{FOLDER}/*/state/*:absolute-path",
    f"{FOLDER}/*/metadata.json:absolute-path",
)

_log = get_logger(__name__)


class Publisher:
    """Publishes what waits in a run's queue.

    Args:
        run: The run's directory.
        target: Where to.
        policies: What is wanted; None where they are not known, as in another process: then what
            was decided when the checkpoints were saved is done.
        stop: Ends the work when it is set.
        allow: What the gate is to let through.
    """

    def __init__(
        self,
        run: RunDirectory,
        target: Target,
        *,
        policies: Policies | None,
        stop: threading.Event | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        self.queue = UploadQueue(run)
        self.busy_with: Tuple[str, ...] = ()
        self._refusals: Dict[str, str] = {}
        self._run = run
        self._target = target
        self._policies = policies
        self._stop = stop
        # Refusals name files within the checkpoint, so that is how they are let through.
        self._allow = (*allow, *(f"{FOLDER}/*/{item.lstrip('/')}" for item in allow))
        self._repository = Repository(target)
        self._pause: Callable[[float], object] = time.sleep if stop is None else stop.wait

    def publish(self, *, busy_timeout: float = 0) -> PublishReport:
        """Publish what waits, as much of it as fits into one commit.

        Args:
            busy_timeout: Seconds to wait for another one who publishes this run; -1 for no limit.

        Returns:
            What became of it.

        Raises:
            AlreadyPublishingError: Another process publishes this run.
            RateLimitError: The quota of commits is used up, and the error says for how long.
            HflError: It could not be done; the queue is as it was, and so is the Hub.
        """
        with translated_os_errors("publish checkpoints"), self.queue.publishing(busy_timeout):
            waiting = self.queue.add_new(self._target, self._policies)
            if not (waiting.due or waiting.retire):
                return PublishReport(
                    skipped=waiting.skipped, refused=_refused(waiting), waiting=tuple(waiting.due)
                )
            self._repository.prepare()
            return self._persist(None)

    def publish_all(self, *, busy_timeout: float = 0) -> PublishReport:
        """Publish everything that waits, in as many commits as it takes.

        A rate limit is waited out.

        Args:
            busy_timeout: As for `publish`.

        Returns:
            What became of all of it.
        """
        whole = PublishReport()
        while True:
            try:
                report = self.publish(busy_timeout=busy_timeout)
            except RateLimitError as error:
                pause = max(error.retry_after or 0.0, 1.0)
                until = time.strftime("%H:%M:%S", time.localtime(time.time() + pause))
                _log.warning("%s Going on at %s.", error.message, until)
                self._pause(pause)
                continue
            whole = whole.joined(report)
            if not (report.waiting and (report.published or report.found)):
                return whole

    def publish_only(self, names: Sequence[str]) -> PublishReport:
        """Publish these checkpoints and no others, whatever the queue says, in one commit.

        Args:
            names: Checkpoints of the run.

        Returns:
            What became of them.

        Raises:
            HflError: As for `publish`.
        """
        with translated_os_errors("publish checkpoints"), self.queue.publishing():
            self._repository.prepare()
            return self._persist(names)

    def start_over(self) -> None:
        """Look at the repository from the beginning the next time: it may be gone."""
        self._repository = Repository(self._target)

    # -- one attempt --------------------------------------------------------------------------

    def _persist(self, only: Sequence[str] | None) -> PublishReport:
        """Try until nobody else is faster, and what is refused is left out."""
        self._refusals = {}
        for attempt in range(_MOST_OVERTAKEN):
            try:
                return self._attempt(only)
            except _AgainError:
                continue
            except HeadMovedError:
                self._pause(_backoff(attempt))
        raise ConflictError(
            f"Others commit to {self._target.revision!r} of {self._target.repo_id!r} faster "
            "than this process can.",
            hint="Give each run a branch of its own: revision='experiments/a'.",
        )

    def _attempt(self, only: Sequence[str] | None) -> PublishReport:
        state = read_state(self._repository.manager, self._target.revision)
        if only is None:
            waiting = self.queue.add_new(self._target, None)
        else:
            waiting = Waiting(pending={name: self._refusals.get(name) for name in only})
        here = self._here()  # after the queue: the training may have saved while the Hub was asked
        state = state.with_pins_of(here)
        found = self._find_published(state, waiting, here)
        gone = self._decide(state, waiting, here, found) if only is None else set()
        retired = tuple(item.name for item in state.published if item.name in gone)
        parts = self._gather(state, self._batch(waiting, here))
        now = [item for item in state.published if item.name not in gone] + parts.entries
        self.busy_with = tuple(parts.names)
        try:
            report = self._commit(state, parts, now, gone)
        finally:
            self.busy_with = ()
        return self._record(parts, now, found, retired, report)

    def _here(self) -> Dict[str, Checkpoint]:
        scan = self._run.scan()
        return {item.name: item for item in (*scan.checkpoints, *scan.foreign)}

    def _find_published(
        self, state: RemoteState, waiting: Waiting, here: Mapping[str, Checkpoint]
    ) -> Tuple[str, ...]:
        """Take out of the queue what turns out to be on the Hub: an answer may have been lost."""
        there = {item.manifest for item in state.published}
        found = tuple(
            name
            for name in waiting.due
            if name in here and manifest_identity(here[name].path) in there
        )
        for name in found:
            del waiting.pending[name]
        return found

    def _decide(
        self,
        state: RemoteState,
        waiting: Waiting,
        here: Mapping[str, Checkpoint],
        found: Sequence[str],
    ) -> set[str]:
        """Decide anew, now that it is known what the Hub holds; return what is retired."""
        run_id = self._run.run_id()
        if self._policies is None:
            retire = set(waiting.retire)
        else:
            local = [item for item in here.values() if item.run_id == run_id]
            verdict = decide(
                self._policies,
                local=sorted(local, key=lambda item: item.sequence),
                waiting=waiting.due,
                refused=_refused(waiting),
                published=[item.checkpoint for item in state.of_run(run_id)],
                forced=waiting.forced,
            )
            for name, reason in verdict.skip.items():
                waiting.skip(name, reason)
            retire = set(verdict.retire)
        retire &= {item.name for item in state.of_run(run_id)}  # never another run's
        with self.queue.change() as stored:
            for name in found:
                stored.pending.pop(name, None)
            for name in [name for name in stored.pending if name in waiting.skipped]:
                stored.skip(name, waiting.skipped[name])
        return retire

    def _batch(self, waiting: Waiting, here: Mapping[str, Checkpoint]) -> List[Checkpoint]:
        found = [here[name] for name in waiting.due if name in here]
        if sum(item.size for item in found) > _BATCH_BYTES:
            return found[-1:]
        return found

    def _gather(self, state: RemoteState, batch: Sequence[Checkpoint]) -> Parts:
        parts = Parts()
        known = state.known_contents()
        taken = {path.split("/")[1] for path in state.tree.files if path.startswith(f"{FOLDER}/")}
        for item in batch:
            try:
                manifest, digests = files_to_send(item.path, known)
            except CheckpointDamagedError as error:
                self._refuse(item.name, error.message)
                continue
            except FileNotFoundError:
                self._give_up(item.name)
                continue
            name = free_name(item, taken)
            taken.add(name)
            parts.add(item, name, manifest, digests)
        if len(parts.names) < len(batch):  # then what is retired for their sake is decided anew
            raise _AgainError("Without those that were refused.")
        return parts

    def _commit(
        self, state: RemoteState, parts: Parts, now: Sequence[Published], gone: set[str]
    ) -> TransferReport | None:
        if not (parts.names or gone):
            return None
        latest = _latest(parts.entries, state)
        message = f"Publish {', '.join(parts.names.values())}" if parts.names else "Retire"
        if gone:
            message += f"\n\nRetired: {', '.join(sorted(gone))}"
        try:
            return self._repository.manager.commit(
                {**parts.files, INDEX: write_index(now, latest)},
                delete=[f"{FOLDER}/{name}/" for name in gone] + self._repository.leftovers(state),
                message=message,
                revision=self._target.revision,
                on=state.tree,
                digests=parts.digests,
                private=self._target.private,
                allow=[*_FINE, *self._allow],
                wait_for_quota=False,
                stop=self._stop,
            )
        except UnsafeUploadError as error:
            self._refuse_unsafe(parts, error.findings)
            raise _AgainError("Without those that were refused.") from error

    def _refuse_unsafe(self, parts: Parts, findings: Mapping[str, str]) -> None:
        for here, there in parts.names.items():
            prefix = f"{FOLDER}/{there}/"
            own = [
                f"{path[len(prefix):]}: {what}"
                for path, what in findings.items()
                if path.startswith(prefix)
            ]
            if own:
                self._refuse(here, "; ".join(own))

    # -- what is written down -----------------------------------------------------------------

    def _refuse(self, name: str, reason: str) -> None:
        _log.error(
            "%s is not published: %s It stays here; see what waits with: hfl checkpoint push %s",
            name,
            reason if reason.endswith(".") else f"{reason}.",
            self._run.path,
        )
        self._refusals[name] = reason
        with self.queue.change() as waiting:
            if name in waiting.pending:
                waiting.pending[name] = reason

    def _give_up(self, name: str) -> None:
        self._refusals[name] = "it was deleted before it could be published"
        with self.queue.change() as waiting:
            waiting.skip(name, "it was deleted before it could be published")

    def _record(
        self,
        parts: Parts,
        now: Sequence[Published],
        found: Tuple[str, ...],
        retired: Tuple[str, ...],
        report: TransferReport | None,
    ) -> PublishReport:
        with self.queue.change() as waiting:
            for name in parts.names:
                waiting.pending.pop(name, None)
            waiting.published = [
                item for item in now if item.checkpoint.run_id in waiting.considered
            ]
            waiting.retire = [name for name in waiting.retire if name not in retired]
        if parts.names:
            _log.info(
                "published %s to %s@%s",
                ", ".join(parts.names.values()),
                self._target.repo_id,
                self._target.revision,
            )
        if retired:
            _log.info("retired %s", ", ".join(retired))
        return PublishReport(
            published=tuple(parts.names),
            found=found,
            retired=retired,
            skipped=dict(waiting.skipped),
            refused={**_refused(waiting), **self._refusals},
            waiting=tuple(waiting.due),
            commit=report.commit if report is not None else None,
            bytes_sent=report.bytes_sent if report is not None else 0,
            bytes_copied=report.bytes_copied if report is not None else 0,
            bytes_hashed=report.bytes_hashed if report is not None else 0,
        )


class _AgainError(HflError):
    """The same is to be tried once more, without what was refused."""


def _backoff(attempt: int) -> float:
    longest = min(_LONGEST_PAUSE, 0.05 * 2**attempt)
    return random.uniform(0, longest)  # noqa: S311  # nosec B311  # spreads, and keeps no secret


def _refused(waiting: Waiting) -> Dict[str, str]:
    return {name: why for name, why in waiting.pending.items() if why is not None}


def _latest(entries: Sequence[Published], state: RemoteState) -> str:
    """The newest checkpoint of the run that publishes now; what the branch said if none is newer."""
    if not entries:
        return state.latest or ""
    newest = max(entries, key=lambda item: item.checkpoint.sequence)
    same_run = [*state.of_run(newest.checkpoint.run_id), newest]
    return max(same_run, key=lambda item: item.checkpoint.sequence).name
