"""Checkpoints in this library's form wherever Lightning writes and reads one by its path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List

from hfl_checkpoint import CheckpointManager, KeepLast
from hfl_core import ConfigError, ConflictError, Files, get_logger, translated_os_errors
from hfl_integrations._lightning import _content, _places, _together
from hfl_integrations._lightning._compat import bound, framework_of
from hfl_integrations._lightning._paths import require_local

if TYPE_CHECKING:
    from lightning.pytorch.plugins.io import CheckpointIO as _Base
else:
    _Base = object

_log = get_logger(__name__)


class LifecycleCheckpointIO(_Base):
    """Saves and loads single checkpoints by their path, complete or not at all, with digests, without pickle.

    With it ``trainer.save_checkpoint("runs/first")`` makes the directory ``runs/first``, in which one
    checkpoint is, and ``ckpt_path="runs/first"`` restores from it. Saving to the same path replaces the
    checkpoint once the new one is complete. Files that Lightning wrote by itself are read as before. A
    `LifecycleCheckpoint` does not need the plugin: it saves by itself.

    Args:
        **options: Of `hfl_checkpoint.CheckpointManager`: ``compression``, ``max_shard_size``,
            ``metadata`` …

    Raises:
        ConfigError: An option is of no use for single checkpoints.
        MissingExtraError: Lightning is not installed.

    Example:
        .. code-block:: python

            trainer = Trainer(plugins=[LifecycleCheckpointIO()])
            trainer.fit(model)
            trainer.save_checkpoint("runs/first")
    """

    def __new__(cls, *_: Any, **__: Any) -> LifecycleCheckpointIO:
        """Make an instance that the Lightning in use recognises."""
        made = bound(cls, "plugins.io", "CheckpointIO", needed_by="LifecycleCheckpointIO")
        instance: LifecycleCheckpointIO = object.__new__(made)
        return instance

    def __init__(self, **options: Any) -> None:
        unusable = sorted({"save", "keep", "hub", "hub_keep", "naming"} & set(options))
        if unusable:
            raise ConfigError(
                f"LifecycleCheckpointIO saves what it is asked to, where it is asked to: {unusable[0]}= has no "
                "meaning for it.",
                hint="Pass it to LifecycleCheckpoint.",
            )
        self._options = {"background": False, **options}
        self._managers: Dict[Path, CheckpointManager] = {}

    def save_checkpoint(
        self, checkpoint: Dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Save a dictionary of Lightning's.

        Args:
            checkpoint: The dictionary.
            path: Where to.
            storage_options: Not supported.

        Raises:
            ConflictError: There is something else at `path`.
            UnknownTypeError: The dictionary holds what a checkpoint cannot; it is named.
            ConfigError: `storage_options` are given, the path is not a local one, or several processes
                train, of which Lightning calls a plugin in the first only.
        """
        if _together.are_several():
            raise ConfigError(
                "LifecycleCheckpointIO saves for one process, and several train here.",
                hint="Add a LifecycleCheckpoint to the callbacks instead: it saves in all of them.",
            )
        if storage_options is not None:
            raise ConfigError(
                "LifecycleCheckpointIO knows no storage_options.",
                hint="Leave them out of trainer.save_checkpoint().",
            )
        place = Path(require_local(path)).absolute()
        _require_free(place)
        left_out: List[str] = []
        components = _content.components_of(checkpoint, left_out=left_out)
        say_left_out(left_out)
        rank = checkpoint.get(_content.OWN, {}).get(_content.RANK)
        if rank is not None:
            components[_content.RANK] = rank
        # Another state of the same step is another checkpoint; only a new line of training says so.
        manager = CheckpointManager(place, keep=KeepLast(1), **self._options)
        with manager:
            manager.save(int(checkpoint.get("global_step", 0)), **components)
        with translated_os_errors(f"remove what was at {str(place)!r} before"):
            for older in manager.run_directory.scan().foreign:
                Files().remove_tree(older.path)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: Any = None, **_: Any
    ) -> Dict[str, Any]:
        """Read a dictionary of Lightning's, verified first.

        Args:
            path: A checkpoint's directory, a run's (its newest then), or a file that Lightning wrote.
            map_location: A device for the tensors.
            weights_only: For Lightning's own files.

        Returns:
            The dictionary.
        """
        if _places.is_ours(path):
            return _places.read(path, map_location=as_device(map_location)).checkpoint
        return load_stock(self._stock(), path, map_location, weights_only)

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint.

        Args:
            path: Its path, or a file that Lightning wrote.
        """
        place = Path(path)
        if not _places.is_ours(path) or not place.is_dir():
            self._stock().remove_checkpoint(path)
            return
        with translated_os_errors(f"remove {str(place)!r}"):
            aside = place.with_name(f".{place.name}.removed")
            place.rename(aside)  # first out of the way: half of a checkpoint is none
            Files().remove_tree(aside)

    def teardown(self) -> None:
        """Do nothing: a save is finished when it returns."""

    def _stock(self) -> Any:
        return framework_of(self).find("plugins.io", "TorchCheckpointIO")()


def load_stock(io: Any, path: Any, map_location: Any, weights_only: Any) -> Dict[str, Any]:
    """Read a file with a plugin of Lightning's, which takes ``weights_only`` since 2.6."""
    more: Dict[str, Any] = {} if weights_only is None else {"weights_only": weights_only}
    if map_location is not None:
        more["map_location"] = map_location
    loaded: Dict[str, Any] = io.load_checkpoint(path, **more)
    return loaded


def say_left_out(left_out: List[str]) -> None:
    """Name hyperparameters that a checkpoint cannot hold."""
    if left_out:
        _log.warning(
            "not saved, as no checkpoint holds them without pickle: %s. Training goes on without them; "
            "load_from_checkpoint needs them as arguments. save_hyperparameters(ignore=[…]) says so by itself",
            ", ".join(left_out),
        )


def as_device(map_location: Any) -> Any:
    """What of ``map_location`` is a device; Lightning's default maps to the host, where all is anyway."""
    return None if callable(map_location) or isinstance(map_location, dict) else map_location


def _require_free(place: Path) -> None:
    if place.exists() and not (place / _places.RUN).is_file() and _is_something(place):
        raise ConflictError(
            f"There is something else at {str(place)!r} already.",
            hint="Pass another path; only a checkpoint is replaced by one.",
        )


def _is_something(place: Path) -> bool:
    return not place.is_dir() or any(place.iterdir())
