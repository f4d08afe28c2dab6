"""The way to the Hub: what follows a save, and publishing, promoting and reclaiming by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from hfl_checkpoint._fetching import Fetching
from hfl_checkpoint._find import Which
from hfl_checkpoint._manifest import MANIFEST, parse_manifest
from hfl_checkpoint._remote._address import FOLDER, is_address
from hfl_checkpoint._remote._promote import (
    Bundle,
    PromotionReport,
    bundle_here,
    bundle_there,
    promote,
)
from hfl_checkpoint._remote._publish import Publisher
from hfl_checkpoint._remote._queue import UploadQueue
from hfl_checkpoint._remote._state import RemoteState, read_state, require_as_told, trusting
from hfl_checkpoint._remote._worker import Worker
from hfl_checkpoint._verify import require_intact
from hfl_checkpoint.errors import CheckpointNotFoundError
from hfl_core import get_logger, translated_os_errors

if TYPE_CHECKING:
    import threading

    from hfl_checkpoint._checkpoint import Checkpoint
    from hfl_checkpoint._news import News
    from hfl_checkpoint._remote._report import PublishReport
    from hfl_repo import ReclaimReport, RepoManager

_log = get_logger(__name__)


class Publishing(Fetching):
    """What a checkpoint manager does with the Hub."""

    _news: News

    def _begin_publishing(self, wait: float) -> None:
        if self._target is not None:
            self._worker = Worker(
                self._publisher, wait=wait, left=self._tell_what_is_left, news=self._news
            )

    def _publisher(self, stop: threading.Event | None = None) -> Publisher:
        return Publisher(self._run, self._resolved(), policies=self._policies, stop=stop)

    def _committed(self, checkpoint: Checkpoint) -> None:
        if self._worker is None:
            return
        try:
            publisher = self._worker.publisher
            publisher.queue.add_new(self._resolved(), self._policies, busy_with=publisher.busy_with)
        except Exception:  # noqa: BLE001  # the checkpoint is safe; the next one takes it up
            _log.exception("%s could not be put into the upload queue", checkpoint.name)
        self._worker.notify()

    def _give_up_for(self, upcoming: Checkpoint) -> None:
        if self._worker is None:
            return
        publisher = self._worker.publisher
        try:
            publisher.queue.add_new(
                self._resolved(), self._policies, busy_with=publisher.busy_with, upcoming=upcoming
            )
        except Exception:  # noqa: BLE001  # then it goes on waiting, and does not make way
            _log.exception("the upload queue could not be looked through")

    def _tell_what_is_left(self) -> None:
        waiting = UploadQueue(self._run).read()
        if waiting.pending:
            text = (
                f"Not published yet: {', '.join(waiting.pending)}. Nothing is lost; finish with: "
                f"hfl checkpoint push {self._run.path}"
            )
            _log.warning("%s", text)
            self._news.upload_stuck(text)

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
        with translated_os_errors("put a checkpoint into the upload queue"):
            publisher.queue.force(
                self._resolved(), checkpoint.name, for_good=checkpoint != self.latest()
            )
        return publisher.publish_all(busy_timeout=-1)

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
                return trusting(
                    other, state, lambda there: self._bundle_there(other, there, wanted)
                )
            checkpoint = self._fetched(other, state, wanted)
        require_intact(checkpoint.path)
        return bundle_here(checkpoint.path, read_state(repo, revision))

    def _bundle_there(self, repo: RepoManager, state: RemoteState, which: Which) -> Bundle:
        item = self._chosen(repo, state, which)
        folder = item.checkpoint.path
        data = repo.read((folder / MANIFEST).as_posix(), state.tree.commit)
        manifest = parse_manifest(data, folder)
        require_as_told(item, manifest)
        return bundle_there(state, item.name, manifest)

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
