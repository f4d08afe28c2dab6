"""The way back from the Hub: find what is there, bring it here, and go on from it."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, Callable, Collection, Dict, List, Mapping

from hfl_checkpoint._find import Which, find, which_of
from hfl_checkpoint._remote._address import is_address, parse_address, resolve_address
from hfl_checkpoint._remote._decide import Policies
from hfl_checkpoint._remote._fetch import fetch, fetch_newest
from hfl_checkpoint._remote._queue import Target, UploadQueue
from hfl_checkpoint._remote._repository import Repository
from hfl_checkpoint._remote._state import (
    MisleadingIndexError,
    Published,
    RemoteState,
    read_state,
    trusting,
)
from hfl_checkpoint._remote._worker import Worker
from hfl_checkpoint._restoring import Restoring, all_components
from hfl_checkpoint._verify import verify
from hfl_checkpoint.errors import CheckpointDamagedError, CheckpointNotFoundError
from hfl_core import ConfigError, NetworkError, NotFoundError, get_logger

if TYPE_CHECKING:
    import torch

    from hfl_checkpoint._checkpoint import Checkpoint, RestoreReport
    from hfl_checkpoint._protocol import TrainingStateLike
    from hfl_checkpoint._retention import KeepPolicy
    from hfl_repo import RepoManager

_log = get_logger(__name__)


class Fetching(Restoring):
    """What a checkpoint manager brings from the Hub."""

    _target: Target | None = None
    _policies: Policies | None = None
    _worker: Worker | None = None
    _place: Repository | None = None
    _pattern = ""
    _seen_elsewhere: Target | None = None

    def _connect(
        self, target: Target, hub_keep: KeepPolicy | None, keep: KeepPolicy, *, naming: str
    ) -> None:
        """Remember where to publish; nothing is asked of the Hub yet."""
        self._pattern = naming
        self._elsewhere = target
        if not target.repo_id:
            return
        self._target = target
        self._policies = Policies(hub_keep, keep)
        self._place = Repository(target)
        self._place.manager  # noqa: B018  # refuses a name that is none

    def _resolved(self) -> Target:
        """The target as another process has to see it: on this Hub, whatever its environment says."""
        target, place = self._connected()
        if self._seen_elsewhere is None:
            self._seen_elsewhere = dataclasses.replace(target, endpoint=place.manager.endpoint)
        return self._seen_elsewhere

    def _connected(self) -> tuple[Target, Repository]:
        if self._target is None or self._place is None:
            raise ConfigError(
                "This checkpoint manager was made without a repository.",
                hint="Pass hub='namespace/name', or name the place: pull('hf://namespace/name').",
            )
        return self._target, self._place

    def pull(self, which: Which = "latest") -> Checkpoint:
        """Bring a checkpoint of the Hub into the run's directory, verified.

        Args:
            which: ``"latest"``, ``"best:<metric>"``, a step, a name or label, on the manager's own
                branch; or ``"hf://me/run@branch/…"``. The latest that is damaged gives way to the
                one before it.

        Returns:
            The checkpoint, as it is here now.

        Raises:
            CheckpointNotFoundError: There is no such checkpoint.
            CheckpointDamagedError: It is damaged on the Hub, or all are.
            NetworkError: The Hub cannot be reached.
        """
        team = self._team
        team.agree(self.wait)
        return self._local(team.first(lambda: self._fetched(*self._look(which))))

    def _local(self, checkpoint: Checkpoint) -> Checkpoint:
        """A checkpoint of rank 0 as this process names it."""
        return dataclasses.replace(checkpoint, path=self._run.path / checkpoint.name)

    def resume(
        self,
        state: TrainingStateLike | None = None,
        *,
        strict: bool = False,
        allow_missing: Collection[str] = (),
        map_location: str | torch.device | None = None,
        **components: Any,
    ) -> RestoreReport | None:
        """Restore the newest verified checkpoint, here or on the Hub; do nothing on a fresh run.

        With a repository, a checkpoint of this run that is newer there than here is fetched first,
        and one that is damaged here is fetched again if it is intact there. Without a network, what
        is here is restored; when nothing is here then, it raises: beginning anew could be wrong.

        Args:
            state: The training state; its components are restored.
            strict: As for `restore`; one that is intact on the Hub counts as intact.
            allow_missing: As for `restore`.
            map_location: As for `restore`.
            **components: More of them, or all when there is no state object.

        Returns:
            What was restored, or None when there is no checkpoint yet.

        Raises:
            CheckpointDamagedError: There are checkpoints, and all are damaged.
            NetworkError: Nothing is here, and the Hub cannot be reached.
            HflError: As for `restore`.
        """
        options: Dict[str, Any] = {"allow_missing": allow_missing, "map_location": map_location}
        if self._target is None:
            here = super().resume(state, strict=strict, **options, **components)
            self._now_training(here)
            return here
        team = self._team

        def begin() -> Dict[str, Any]:
            self._require_open()
            self.wait()
            return {**options, **all_components(state, components)}

        everything = team.agree(begin)
        remote: RemoteState | None = None

        def fetch_first() -> tuple[bool, List[str]]:
            nonlocal remote
            remote, found = self._bring_newer()
            return remote is not None, found

        def replace() -> tuple[List[str], List[str]]:
            found: List[str] = []
            return ([] if remote is None else self._replace_damaged(remote, found)), found

        has_remote, warnings = team.first(fetch_first)
        report: RestoreReport | None = None
        with contextlib.suppress(CheckpointNotFoundError):  # a fresh run
            report = self._restore_or_replace(strict, replace if has_remote else None, everything)
        if team.is_first and self._worker is not None and UploadQueue(self._run).read().due:
            self._worker.notify()  # what an earlier process did not finish
        self._now_training(report)
        if report is None:
            self._require_nowhere_else()
            return None
        return dataclasses.replace(report, warnings=(*warnings, *report.warnings))

    def _restore_or_replace(
        self,
        strict: bool,
        replace: Callable[[], tuple[List[str], List[str]]] | None,
        everything: Mapping[str, Any],
    ) -> RestoreReport:
        """Restore the latest; what is damaged here and intact on the Hub counts as intact."""
        try:
            return self.restore("latest", strict=strict or replace is not None, **everything)
        except CheckpointDamagedError:
            if replace is None:
                raise
        quarantined, warnings = self._team.first(replace)
        report = self.restore("latest", strict=strict, **everything)
        return dataclasses.replace(
            report,
            quarantined=(*quarantined, *report.quarantined),
            warnings=(*warnings, *report.warnings),
        )

    def fetch_newer(self) -> tuple[List[str], List[str]]:
        """Bring what `resume` would restore, and restore nothing; without a repository, do nothing.

        Frameworks ask for the position in training before there is an optimizer to restore.

        Returns:
            The names of checkpoints that were damaged here and fetched again, and what to know.

        Raises:
            NetworkError: Nothing is here, and the Hub cannot be reached.
            CheckpointError: Rank 0 has none, and another process has some on a disk of its own.
        """

        def begin() -> None:
            self._require_open()
            self.wait()

        def bring() -> tuple[List[str], List[str]]:
            remote, warnings = self._bring_newer()
            replaced = [] if remote is None else self._replace_damaged(remote, warnings)
            return replaced, warnings

        team = self._team
        team.agree(begin)
        told = ([], []) if self._target is None else team.first(bring)
        self._require_nowhere_else()
        return told

    def _remote_for_resume(self) -> tuple[RemoteState | None, List[str]]:
        target, place = self._connected()
        try:
            return read_state(place.manager, target.revision), []
        except NotFoundError:
            return None, []  # nothing was published yet
        except NetworkError as error:
            if not self.checkpoints():
                raise
            warning = f"{error.message} The newest checkpoint on this disk is taken."
            _log.warning("%s", warning)
            return None, [warning]

    def _bring_newer(self) -> tuple[RemoteState | None, List[str]]:
        """Fetch what is newer there than here; return what there is, and what to know."""
        remote, warnings = self._remote_for_resume()
        if remote is None:
            return None, warnings
        _, place = self._connected()
        return trusting(place.manager, remote, lambda state: (state, self._fetch_newer_of(state)))

    def _fetch_newer_of(self, remote: RemoteState) -> List[str]:
        _, place = self._connected()
        here = self.checkpoints()
        run_id = self._run.run_id() if here else remote.current_run
        newest = here[-1].sequence if here else 0
        newer = [item for item in remote.of_run(run_id) if item.checkpoint.sequence > newest]
        found, warnings = fetch_newest(
            self._run, place.manager, remote, newer, naming=self._pattern
        )
        if found is None and not here:
            for error in remote.damaged.values():
                raise error
            if newer:
                raise CheckpointDamagedError(newer[-1].name, warnings)
        return warnings

    def _replace_damaged(self, remote: RemoteState, warnings: List[str]) -> List[str]:
        """Set aside what is damaged here and intact on the Hub, and fetch it again."""
        _, place = self._connected()
        there = {
            (item.checkpoint.sequence, item.checkpoint.created_at): item
            for item in remote.of_run(self._run.run_id())
        }
        replaced: List[str] = []
        for checkpoint in reversed(self.checkpoints()):
            item = there.get((checkpoint.sequence, checkpoint.created_at))
            if verify(checkpoint.path, "full").ok:
                break
            if item is None:
                continue  # one before it may be there; what is damaged is set aside by the restore
            place_of_damage = self._run.set_aside(checkpoint.path)
            replaced.append(checkpoint.name)
            warning = (
                f"Checkpoint {checkpoint.name!r} is damaged. It was moved to "
                f"{place_of_damage.relative_to(self._run.path).as_posix()}, and fetched again."
            )
            _log.warning("%s", warning)
            warnings.append(warning)
            try:
                fetch(self._run, place.manager, remote, item, naming=self._pattern)
            except (CheckpointDamagedError, MisleadingIndexError) as error:
                _log.warning("%s", error.message)
                continue
            break
        return replaced

    def _arrive(self, which: Which) -> Which:
        if not is_address(which):
            return which
        return self._fetched(*self._look(which))

    def _look(self, which: Which) -> tuple[RepoManager, RemoteState, Which]:
        """Ask which place is meant, what it holds, and which checkpoint of it is wanted."""
        if not is_address(which):
            target, place = self._connected()
            return place.manager, read_state(place.manager, target.revision), which
        text = str(which)
        repo = self._repo_at(parse_address(text).repo_id)
        revision, wanted = resolve_address(text, repo)
        return repo, read_state(repo, revision), which_of(wanted)

    def _repo_at(self, repo_id: str) -> RepoManager:
        return Repository(dataclasses.replace(self._elsewhere, repo_id=repo_id)).manager

    def _fetched(self, repo: RepoManager, state: RemoteState, which: Which) -> Checkpoint:
        return trusting(repo, state, lambda there: self._fetch_chosen(repo, there, which))

    def _fetch_chosen(self, repo: RepoManager, state: RemoteState, which: Which) -> Checkpoint:
        own = self._own(state)
        if which == "latest" and own:
            found, warnings = fetch_newest(self._run, repo, state, own, naming=self._pattern)
            if found is None:
                raise CheckpointDamagedError(own[-1].name, warnings)
            return found
        return fetch(self._run, repo, state, self._chosen(repo, state, which), naming=self._pattern)

    def _own(self, state: RemoteState) -> List[Published]:
        """The checkpoints of this run there; of the run that published last, if it has none."""
        return state.of_run(self._run.run_id()) or state.of_run(state.current_run)

    def _chosen(self, repo: RepoManager, state: RemoteState, which: Which) -> Published:
        own = self._own(state)
        where = f"hf://{repo.repo_id}"
        if str(which) in state.damaged:
            raise state.damaged[str(which)]
        if which == "latest" and not own:
            for error in state.damaged.values():
                raise error
        try:
            wanted = find(which, [item.checkpoint for item in own], directory=where)
        except CheckpointNotFoundError:
            wanted = find(which, [item.checkpoint for item in state.published], directory=where)
        return next(item for item in state.published if item.name == wanted.name)
