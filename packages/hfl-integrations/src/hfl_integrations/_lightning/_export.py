"""Checkpoints for Lightning without the callback, and models out of checkpoints."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict

import torch

from hfl_checkpoint import Checkpoint
from hfl_core import ConfigError, ConflictError, translated_os_errors
from hfl_integrations._lightning import _bookkeeping, _places

if TYPE_CHECKING:
    from typing import IO

_OURS = "LifecycleCheckpoint"


def export_for_lightning(
    checkpoint: Checkpoint | str | os.PathLike[str], path: str | os.PathLike[str]
) -> Path:
    """Write a checkpoint as a file of Lightning's own, for a Trainer without `LifecycleCheckpoint`.

    ``trainer.fit(ckpt_path=…)`` and ``load_from_checkpoint`` take it. It is a pickle, as all of Lightning's
    are; it is only written here, where you ask for it. What Lightning itself does not know is not in it:
    random streams and the position in the data.

    Args:
        checkpoint: A checkpoint, or the path of its directory.
        path: The file: ``model.ckpt``.

    Returns:
        The path.

    Raises:
        ConflictError: It is there already.
        ConfigError: There is no checkpoint, or something other than Lightning saved it.
        CheckpointDamagedError: It is damaged.

    Example:
        .. code-block:: python

            path = export_for_lightning(callback.manager.latest(), "stock.ckpt")
            Digits.load_from_checkpoint(path)
    """
    target = Path(path)
    if target.exists():
        raise ConflictError(
            f"{str(target)!r} is there already.", hint="Pass another path; nothing is replaced."
        )
    content = _stock_form(checkpoint)
    with translated_os_errors(f"export to {str(target)!r}"):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        try:
            torch.save(content, str(partial))
            partial.rename(target)
        finally:
            if partial.exists():
                partial.unlink()
    return target


def load_lightning_model(
    model_class: Any, checkpoint: Checkpoint | str | os.PathLike[str], **arguments: Any
) -> Any:
    """Make a model of a checkpoint, as its ``load_from_checkpoint`` does of a file of Lightning's.

    Args:
        model_class: The LightningModule, or LightningDataModule.
        checkpoint: A checkpoint, or the path of its directory: ``callback.best_model_path``.
        **arguments: Of ``load_from_checkpoint``: hyperparameters, ``map_location``, ``strict``.

    Returns:
        The model.

    Raises:
        ConfigError: There is no checkpoint, or something other than Lightning saved it.
        CheckpointDamagedError: It is damaged.

    Example:
        .. code-block:: python

            model = load_lightning_model(Digits, callback.best_model_path)
    """
    file: IO[bytes] = io.BytesIO()
    torch.save(_stock_form(checkpoint), file)
    file.seek(0)
    return model_class.load_from_checkpoint(file, **arguments)


def _stock_form(checkpoint: Checkpoint | str | os.PathLike[str]) -> Dict[str, Any]:
    source = checkpoint.path if isinstance(checkpoint, Checkpoint) else Path(checkpoint)
    if not _places.is_ours(source):
        raise ConfigError(
            f"{str(source)!r} is not a checkpoint of this library.",
            hint="Pass the directory of one, or a Checkpoint.",
        )
    read = _places.read(source)
    content = {name: value for name, value in read.checkpoint.items() if not name.startswith("hfl")}
    callbacks = content.get("callbacks", {})
    # To a ModelCheckpoint with the same arguments it is its own state.
    content["callbacks"] = {
        key.replace(_OURS, "ModelCheckpoint", 1) if key.startswith(_OURS) else key: (
            _bookkeeping.in_directory(state, str(read.source.path.parent))
            if key.startswith(_OURS)
            else state
        )
        for key, state in callbacks.items()
    }
    if "callbacks" not in read.checkpoint:
        del content["callbacks"]
    return content
