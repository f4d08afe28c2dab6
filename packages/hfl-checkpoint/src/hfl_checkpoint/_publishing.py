"""The Hub's side of a checkpoint manager: publish, fetch, and go on from there."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, List

from hfl_checkpoint._find import Which, find, which_of
from hfl_checkpoint._manifest import MANIFEST, parse_manifest
from hfl_checkpoint._remote._address import FOLDER, is_address, parse_address, resolve_address
from hfl_checkpoint._remote._decide import Policies
from hfl_checkpoint._remote._fetch import fetch, fetch_newest
from hfl_checkpoint._remote._promote import (
    Bundle,
    PromotionReport,
    bundle_here,
    bundle_there,
    promote,
)
from hfl_checkpoint._remote._publish import Publisher
from hfl_checkpoint._remote._queue import Target, UploadQueue
from hfl_checkpoint._remote._repository import Repository
from hfl_checkpoint._remote._state import Published, RemoteState, read_state
from hfl_checkpoint._remote._worker import Worker
from hfl_checkpoint._restoring import Restoring, all_components
from hfl_checkpoint._verify import require_intact, verify
from hfl_checkpoint.errors import CheckpointDamagedError, CheckpointNotFoundError
from hfl_core import ConfigError, NetworkError, NotFoundError, get_logger

if TYPE_CHECKING:
    import threading

    from hfl_checkpoint._checkpoint import Checkpoint, RestoreReport
    from hfl_checkpoint._protocol import TrainingStateLike
    from hfl_checkpoint._remote._report import PublishReport
    from hfl_checkpoint._retention import KeepPolicy
    from hfl_repo import ReclaimReport, RepoManager

_log = get_logger(__name__)


class Publishing(Restoring):
    """What a checkpoint manager does with the Hub."""

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

    def _begin_publishing(self, wait: float) -> None:
        if self._target is not None:
            self._worker = Worker(self._publisher, wait=wait, left=self._tell_what_is_left)

    def _publisher(self, stop: threading.Event | None = None) -> Publisher:
        return Publisher(self._run, self._resolved(), policies=self._policies, stop=stop)

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

    # -- what follows a save ------------------------------------------------------------------

    def _committed(self, checkpoint: Checkpoint) -> None:
        if self._worker is None:
            return
        try:
            publisher = self._worker.publisher
            publisher.queue.add_new(self._resolved(), self._policies, busy_with=publisher.busy_with)
        except Exception:  # noqa: BLE001  # the checkpoint is safe; the next one takes it up
            _log.exception("%s could not be put into the upload queue", checkpoint.name)
        self._worker.notify()

    def _tell_what_is_left(self) -> None:
        waiting = UploadQueue(self._run).read()
        if waiting.pending:
            _log.warning(
                "Not published yet: %s. Nothing is lost; finish with: hfl checkpoint push %s",
                ", ".join(waiting.pending),
                self._run.path,
            )

    # -- by hand ------------------------------------------------------------------------------

    def push(self, which: Which = "latest") -> PublishReport:
        """Publish a checkpoint now, and whatever waits, and see that it is done.

        Args:
            which: As for `load`. One that is not the latest stays on the Hub from then on, whatever
                the policy for it says.

        Returns:
            What became of it.

        Raises:
            CheckpointNotFoundError: There is no such checkpoint.
            HflError: It could not be published; it stays in the queue.
        """
        self._connected()
        checkpoint = self.find(which)
        publisher = self._publisher()
        publisher.queue.force(
            self._resolved(), checkpoint.name, for_good=checkpoint != self.latest()
        )
        return publisher.publish_all(busy_timeout=-1)

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
        self.wait()
        repo, state, wanted = self._look(which)
        return self._fetched(repo, state, wanted)

    def remote_checkpoints(self, where: str | None = None) -> List[Checkpoint]:
        """List the checkpoints on the Hub, each run's oldest first.

        Args:
            where: ``"hf://me/run@branch"``; the manager's own branch if None.

        Returns:
            The checkpoints; each one's `path` is its folder in the repository.
        """
        _, state, _ = self._look("latest" if where is None else where)
        return [item.checkpoint for item in state.published]

    def promote(
        self,
        which: Which = "latest",
        tag: str | None = None,
        *,
        component: str | None = None,
        dry_run: bool = False,
    ) -> PromotionReport:
        """Put a checkpoint's model at the root of ``main``, where ``from_pretrained`` finds it.

        The model's files, configuration and tokenizer go there in one commit, by server-side copy
        where the Hub has them already; files of an earlier model that this one does not have go with
        it. The card gets the metrics, the hyperparameters and the base model; what people wrote in it
        stays.

        Args:
            which: As for `load`: here, or on the Hub if it is not here.
            tag: A tag for the result.
            component: Which model, where the checkpoint has several and none is called ``"model"``.
            dry_run: Only say what would be done.

        Returns:
            What became of it.

        Raises:
            CheckpointNotFoundError: There is no such checkpoint, here or on the Hub.
            CheckpointDamagedError: It is damaged.
            NoModelError: It holds no model, or none that is called so.
            RefExistsError: The tag marks something else. Nothing was changed.
            UnsafeUploadError: Something in it must not leave the machine. Nothing was sent.
        """
        target, place = self._connected()
        self.wait()
        place.prepare()
        return promote(
            place.manager,
            self._bundle(place.manager, target.revision, which),
            FOLDER,
            tag=tag,
            component=component,
            private=target.private,
            dry_run=dry_run,
        )

    def _bundle(self, repo: RepoManager, revision: str, which: Which) -> Bundle:
        """Find a checkpoint here or on the Hub; what the Hub has need not be sent."""
        try:
            checkpoint = None if is_address(which) else self._find(which)
        except CheckpointNotFoundError:
            checkpoint = None  # maybe it is there
        if checkpoint is None:
            other, state, wanted = self._look(which)
            if other.repo_id == repo.repo_id:
                item = self._chosen(other, state, wanted)
                folder = item.checkpoint.path
                data = repo.read((folder / MANIFEST).as_posix(), state.tree.commit)
                return bundle_there(state, item.name, parse_manifest(data, folder))
            checkpoint = self._fetched(other, state, wanted)
        require_intact(checkpoint.path)
        return bundle_here(checkpoint.path, read_state(repo, revision))

    def reclaim(self, plan_only: bool = True, *, confirm: str | None = None) -> ReclaimReport:
        """Free the storage of what was retired from the branch on the Hub.

        What a tag, another branch or a pull request shows is never touched.

        Args:
            plan_only: Say what would be done, and do nothing.
            confirm: The repository's name once more; needed where something is done. The history of
                the branch becomes one commit.

        Returns:
            The plan, or what was done.

        Raises:
            ConfirmationError: The confirmation is not the repository's name. Nothing was done.
        """
        target, place = self._connected()
        return place.manager.reclaim(plan_only, branches=[target.revision], confirm=confirm)

    # -- the way back -------------------------------------------------------------------------

    def resume(
        self, state: TrainingStateLike | None = None, **components: Any
    ) -> RestoreReport | None:
        """Restore the newest verified checkpoint, here or on the Hub; do nothing on a fresh run.

        With a repository, a checkpoint of this run that is newer there than here is fetched first,
        and one that is damaged here is fetched again if it is intact there. Without a network, what
        is here is restored; when nothing is here then, it raises: beginning anew could be wrong.

        Args:
            state: The training state; its components are restored.
            **components: More of them, or all when there is no state object.

        Returns:
            What was restored, or None when there is no checkpoint yet.

        Raises:
            CheckpointDamagedError: There are checkpoints, and all are damaged.
            NetworkError: Nothing is here, and the Hub cannot be reached.
            HflError: As for `restore`.
        """
        if self._target is None:
            return super().resume(state, **components)
        everything = all_components(state, components)
        self._require_open()
        self.wait()
        remote, warnings = self._remote_for_resume()
        quarantined: List[str] = []
        if remote is not None:
            warnings += self._bring_newer(remote)
        report: RestoreReport | None = None
        try:
            try:
                report = self.restore("latest", strict=remote is not None, **everything)
            except CheckpointDamagedError:
                if remote is None:
                    raise
                quarantined = self._replace_damaged(remote, warnings)
                report = self.restore("latest", **everything)
        except CheckpointNotFoundError:
            pass  # a fresh run
        if self._worker is not None and UploadQueue(self._run).read().due:
            self._worker.notify()  # what an earlier process did not finish
        if report is None:
            return None
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
        """
        self._require_open()
        self.wait()
        if self._target is None:
            return [], []
        remote, warnings = self._remote_for_resume()
        quarantined: List[str] = []
        if remote is not None:
            warnings += self._bring_newer(remote)
            quarantined = self._replace_damaged(remote, warnings)
        return quarantined, warnings

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

    def _bring_newer(self, remote: RemoteState) -> List[str]:
        """Fetch what is newer there than here."""
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
            except CheckpointDamagedError as error:
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
