"""The one object that a training script holds: saves, keeps, finds, verifies and restores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Mapping

from hfl_checkpoint import _arguments
from hfl_checkpoint._component_files import Storage
from hfl_checkpoint._compression import check_levels
from hfl_checkpoint._policies import tell
from hfl_checkpoint._restoring import Restoring
from hfl_checkpoint._saving import Saving
from hfl_checkpoint._shards import parse_size
from hfl_core import get_logger

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from hfl_checkpoint._naming import Naming
    from hfl_checkpoint._policies import SavePolicy
    from hfl_checkpoint._retention import KeepPolicy

_log = get_logger(__name__)


class CheckpointManager(Saving, Restoring):
    """Keeps the checkpoints of one run in a directory.

    Nothing is created before the first save. A manager that restores goes on with the run that it
    found; one that saves without having restored begins a run of its own, and what other runs left in
    the directory is neither counted nor deleted.

    Args:
        directory: The run's directory.
        save: When `step` saves; None leaves it to calls of `save`.
        keep: Which checkpoints stay: a policy, or its text as `keep_from` reads it. None stands for the
            setting ``keep`` (``HFL_KEEP``, ``hfl.toml``), and for all without one. Whatever it says, the
            newest verified checkpoint, pinned ones, ones that somebody reads and other runs' stay.
        naming: Pattern of the directories' names, with ``{step}`` or ``{sequence}`` in it, and
            ``{epoch}``, ``{run}``, ``{time}`` or ``{metric[loss]:.3f}`` if wanted. A `Naming` has
            placeholders of your own as well: ``Naming("{model}-{step:08d}", model="vit")``.
        background: Write on another thread; the caller pays for a copy in memory. Errors come up at
            the next call of `step`, `save`, `wait` or `close`.
        when_busy: What `step` does when a save is due and the one before it is still being written:
            ``"wait"``, or ``"skip"`` it and say so in the log. `save` always waits.
        metadata: More to record in each checkpoint's ``metadata.json``: name to what JSON can hold.
        compression: ``"fast"``, ``"small"`` or None for all components, or component to one of them.
            It needs ``hfl-checkpoint[compression]``; compressed tensors cannot be mapped into memory,
            and `from_pretrained` does not see a compressed model.
        max_shard_size: Bytes of tensors in one file, or text such as ``"5GB"``; more of them are spread
            over several files, as transformers does it.

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
        background: bool = True,
        when_busy: Literal["wait", "skip"] = "wait",
        metadata: Mapping[str, Any] | None = None,
        compression: (
            Literal["fast", "small"] | Mapping[str, Literal["fast", "small"] | None] | None
        ) = None,
        max_shard_size: int | str = "5GB",
    ) -> None:
        _arguments.check_policies(save, when_busy)
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
        )
        tell(save, "on_start")

    def close(self) -> None:
        """Finish the save under way and give memory back; the manager saves no more after it.

        Raises:
            HflError: What went wrong with the save.
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self.wait()
        finally:
            tell(self._save_policy, "on_close")
            if self._saver is not None:
                self._saver.close()
            self._arena.release()

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
