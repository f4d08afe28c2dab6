"""The one object that a training script holds: saves, keeps, finds, verifies and restores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Literal, Mapping

from hfl_checkpoint import _arguments
from hfl_checkpoint._restoring import Restoring
from hfl_checkpoint._retention import KeepAll, KeepPolicy
from hfl_checkpoint._saving import Saving
from hfl_core import get_logger

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from hfl_checkpoint._policies import SavePolicy

_log = get_logger(__name__)


class CheckpointManager(Saving, Restoring):
    """Keeps the checkpoints of one run in a directory.

    Nothing is created before the first save. A manager that restores goes on with the run that it
    found; one that saves without having restored begins a run of its own, and what other runs left in
    the directory is neither counted nor deleted.

    Args:
        directory: The run's directory.
        save: When `step` saves; None leaves it to calls of `save`.
        keep: Which checkpoints stay. The newest verified one always does.
        naming: Pattern of the directories' names, with ``{step}`` or ``{sequence}`` in it, and
            ``{epoch}`` and ``{run}`` if wanted.
        background: Write on another thread; the caller pays for a copy in memory. Errors come up at
            the next call of `step`, `save`, `wait` or `close`.
        when_busy: What happens when the save before is still being written: ``"wait"`` for it;
            ``"skip"`` what `step` would save, and make up for it as soon as possible (`save` waits);
            or ``"coalesce"``: take the snapshot and let it wait, for which a newer one is substituted
            if it still waits by then. Coalescing holds two snapshots in memory instead of one.
            Whatever is not saved is logged, and listed in `skipped`.
        metadata: More to record in each checkpoint's ``metadata.json``: name to what JSON can hold.
        snapshot: With ``"lazy"``, parameters and the state of their optimizers are copied while the
            training goes on, and the next optimizer step waits for the rest. With ``"eager"``,
            everything is copied before `save` returns: for code that changes parameters between
            `save` and the next step through ``.data``, NumPy or other memory that torch does not watch.
        when_full: What happens when the disk is full or a quota used up: ``"raise"``; ``"prune"`` those
            checkpoints that `keep` gives up anyway once the new one is there, and try again; or
            ``"pause"``: log, call `notify`, and try again until there is room, for an hour at most.
        notify: Called with a sentence when a person should look after the run. It may be called from
            another thread.

    Raises:
        ConfigError: An argument makes no sense, or `directory` is a file.

    Example:
        >>> import tempfile, torch
        >>> from hfl_checkpoint import CheckpointManager, KeepLast
        >>> model = torch.nn.Linear(2, 1)
        >>> with CheckpointManager(tempfile.mkdtemp(), keep=KeepLast(2)) as checkpoints:
        ...     pending = checkpoints.save(1, model=model)
        ...     checkpoints.restore("latest", model=model).checkpoint.name
        'step-00000001'
    """

    def __init__(  # noqa: PLR0913  # options of one object, each with a default
        self,
        directory: str | os.PathLike[str],
        *,
        save: SavePolicy | None = None,
        keep: KeepPolicy = KeepAll(),  # noqa: B008  # immutable
        naming: str = "step-{step:08d}",
        background: bool = True,
        when_busy: Literal["wait", "skip", "coalesce"] = "wait",
        metadata: Mapping[str, Any] | None = None,
        snapshot: Literal["lazy", "eager"] = "lazy",
        when_full: Literal["raise", "prune", "pause"] = "raise",
        notify: Callable[[str], object] | None = None,
    ) -> None:
        _arguments.check_policies(save, keep, when_busy)
        _arguments.check_choice("snapshot", snapshot, ("lazy", "eager"))
        _arguments.check_choice("when_full", when_full, ("raise", "prune", "pause"))
        super().__init__(
            directory,
            save=save,
            keep=keep,
            naming=naming,
            background=background,
            when_busy=when_busy,
            metadata=metadata,
            snapshot=snapshot,
            when_full=when_full,
            notify=notify,
        )

    def close(self) -> None:
        """Finish the save under way and give memory back; the manager saves no more after it.

        Raises:
            HflError: What went wrong with the save.
        """
        if self._is_closed or self._is_forked:  # the end of a fork is no end of the run
            return
        self._is_closed = True
        try:
            self.wait()
        finally:
            self._release()

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
            self.close()
        except Exception:  # noqa: BLE001  # the block's own error is the one to see
            _log.exception("the last save failed as well")
