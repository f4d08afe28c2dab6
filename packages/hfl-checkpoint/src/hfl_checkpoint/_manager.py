"""The one object that a training script holds: saves, keeps, finds, verifies and restores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Mapping

from hfl_checkpoint import _arguments
from hfl_checkpoint._component_files import Storage
from hfl_checkpoint._compression import check_levels
from hfl_checkpoint._policies import tell
from hfl_checkpoint._publishing import Publishing
from hfl_checkpoint._remote._queue import Target
from hfl_checkpoint._shards import DEFAULT_SIZE
from hfl_checkpoint._sizes import parse_size
from hfl_checkpoint._stepping import Stepping
from hfl_core import get_logger

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from hfl_checkpoint._naming import Naming
    from hfl_checkpoint._news import Notify
    from hfl_checkpoint._policies import SavePolicy
    from hfl_checkpoint._retention import KeepPolicy

_log = get_logger(__name__)


class CheckpointManager(Stepping, Publishing):
    """Keeps the checkpoints of one run in a directory.

    Nothing is created before the first save. A manager that restores goes on with the run that it
    found; one that saves without having restored begins a run of its own, and what other runs left in
    the directory is neither counted nor deleted.

    With several processes (``torch.distributed``), each makes a manager with the same arguments and calls
    `save`, `step`, `restore`, `resume`, `load`, `pull` and `fetch_newer` at the same points. Rank 0 writes one checkpoint
    for all; what goes wrong on one process is raised on all of them, within the timeout of their process
    group, and nothing is committed or changed.

    Args:
        directory: The run's directory.
        save: When `step` saves; None leaves it to calls of `save`.
        keep: Which checkpoints stay: a policy, or its text as `keep_from` reads it. None stands for the
            setting ``keep`` (``HFL_KEEP``, ``hfl.toml``), and for all without one. Whatever it says, the
            newest verified checkpoint, pinned ones, ones that somebody reads and other runs' stay.
        naming: Pattern of the directories' names, with ``{step}`` or ``{sequence}`` in it, and
            ``{epoch}``, ``{run}``, ``{time}`` or ``{metric[loss]:.3f}`` if wanted. A `Naming` has
            placeholders of your own as well: ``Naming("{model}-{step:08d}", model="vit")``.
        hub: The repository on the Hub that checkpoints are published to, in the background; it is
            created when it is not there. Nothing that happens there stops the training.
        hub_keep: Which checkpoints the Hub is to hold, as for `keep`; what it does not keep is retired, and freed by
            `reclaim`. None keeps what was published, and publishes what `keep` keeps.
        revision: The branch for them.
        compression: ``"fast"``, ``"small"`` or None for all components, or component to one of them.
            It needs ``hfl-checkpoint[compression]``; compressed tensors cannot be mapped into memory,
            and `from_pretrained` does not see a compressed model.
        background: Write on another thread; the caller pays for a copy in memory. Errors come up at
            the next call of `step`, `save`, `wait` or `close`.
        when_busy: What happens when the save before is still being written: ``"wait"`` for it;
            ``"skip"`` what `step` would save, and make up for it as soon as possible (`save` waits);
            or ``"coalesce"``: take the snapshot and let it wait, for which a newer one is substituted
            if it still waits by then. Coalescing holds two snapshots in memory instead of one.
            Whatever is not saved is logged, and listed in `skipped`.
        metadata: More to record in each checkpoint's ``metadata.json``: the arguments of
            `hfl_metadata.capture` by name (hyperparameters, data, seeds, durations, …), and whatever else
            JSON can hold.
        endpoint: The Hub's address; None for what hfl-auth finds.
        profile: The profile to act as; None for what hfl-auth finds.
        hub_private: What the repository has to be: True for private, False for public, None for either.
        hub_wait: Seconds for which `close`, and the end of the program, wait for what is not published
            yet. What is left then stays in the queue; ``hfl checkpoint push`` finishes it.
        max_shard_size: Bytes of tensors in one file, or text such as ``"5GB"``; more of them are spread
            over several files, as transformers does it.
        snapshot: With ``"lazy"``, parameters and the state of their optimizers are copied while the
            training goes on, and the next optimizer step waits for the rest. With ``"eager"``,
            everything is copied before `save` returns: for code that changes parameters between
            `save` and the next step through ``.data``, NumPy or other memory that torch does not watch.
        when_full: What happens when the disk is full or a quota used up: ``"raise"``; ``"prune"`` those
            checkpoints that `keep` gives up anyway once the new one is there, and try again; or
            ``"pause"``: log, call `notify`, and try again until there is room, for an hour at most.
        notify: A `hfl_core.Notifier`, which is told of every event: started, resumed, finished, failed,
            preempted, a new best of a metric that `save` or `keep` watches, room that runs out, uploads
            that are stuck. Or a function, called with a sentence when a person should look after the
            run. Either may be called from another thread, and what goes wrong there is only logged.

    Raises:
        ConfigError: An argument makes no sense, or `directory` is a file.
        MissingExtraError: Compression is wanted, and its library is not installed.

    Example:
        >>> import tempfile, torch
        >>> from hfl_checkpoint import CheckpointManager, KeepLast
        >>> model = torch.nn.Linear(2, 1)
        >>> with CheckpointManager(tempfile.mkdtemp(), keep=KeepLast(2)) as checkpoints:
        ...     pending = checkpoints.save(1, model=model)
        ...     checkpoints.restore("latest", model=model).checkpoint.name
        'step-00000001'
    """

    def __init__(  # noqa: PLR0913  # one object, configured in one place
        self,
        directory: str | os.PathLike[str],
        *,
        save: SavePolicy | None = None,
        keep: KeepPolicy | str | None = None,
        naming: str | Naming = "step-{step:08d}",
        hub: str | None = None,
        hub_keep: KeepPolicy | str | None = None,
        revision: str = "checkpoints",
        compression: (
            Literal["fast", "small"] | Mapping[str, Literal["fast", "small"] | None] | None
        ) = None,
        background: bool = True,
        when_busy: Literal["wait", "skip", "coalesce"] = "wait",
        metadata: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
        profile: str | None = None,
        hub_private: bool | None = True,
        hub_wait: float = 60.0,
        max_shard_size: int | str = DEFAULT_SIZE,
        snapshot: Literal["lazy", "eager"] = "lazy",
        when_full: Literal["raise", "prune", "pause"] = "raise",
        notify: Notify | None = None,
    ) -> None:
        _arguments.check_policies(save, when_busy)
        wanted_there = _arguments.check_hub(hub, hub_keep, revision, hub_wait, hub_private)
        _arguments.check_rest(metadata, notify)
        _arguments.check_choice("snapshot", snapshot, ("lazy", "eager"))
        _arguments.check_choice("when_full", when_full, ("raise", "prune", "pause"))
        storage = Storage(parse_size(max_shard_size), check_levels(compression))
        super().__init__(
            directory,
            save=save,
            keep=_arguments.retention(keep),
            naming=naming,
            background=background,
            when_busy=when_busy,
            metadata=metadata,
            storage=storage,
            snapshot=snapshot,
            when_full=when_full,
            notify=notify,
        )
        target = Target(hub or "", revision, endpoint, profile, hub_private)
        self._connect(target, wanted_there, self._keep, naming=self._naming.pattern)
        self._begin_publishing(hub_wait)
        tell(save, "on_start")

    def close(self) -> None:
        """Finish the save under way and give memory back; the manager saves no more after it.

        What is not published yet is waited for, `hub_wait` seconds at most.

        Raises:
            HflError: What went wrong with the save.
        """
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        if self._is_closed or self._is_forked:  # the end of a fork is no end of the run
            return
        self._is_closed = True
        try:
            self.wait()
        except BaseException as own:
            error = error or own
            raise
        finally:
            self._tell_the_end(error)
            tell(self._save_policy, "on_close")
            self._release()
            self._known_team.close()
            if self._worker is not None:
                self._worker.close()

    def _tell_the_end(self, error: BaseException | None) -> None:
        if self._known_team.is_first:
            self._news.end(error, self._line.step)
        self._leave_log()

    def __enter__(self) -> CheckpointManager:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self._end(error)
        except Exception:  # noqa: BLE001  # the block's own error is the one to see
            _log.exception("the last save failed as well")
