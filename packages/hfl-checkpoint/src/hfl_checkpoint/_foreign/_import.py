"""Recognise a checkpoint that something else wrote, and read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hfl_checkpoint._foreign import _files, _folders, _plain
from hfl_core import ConfigError, NotFoundError, get_logger

if TYPE_CHECKING:
    import os

    from hfl_checkpoint._foreign._result import Draft, ImportedCheckpoint

_log = get_logger(__name__)


def import_checkpoint(
    path: str | os.PathLike[str], *, trust_pickle: bool = False
) -> ImportedCheckpoint:
    """Read a checkpoint that something else wrote.

    Understood are files of `torch.save` and safetensors, checkpoint folders of transformers' Trainer and of
    accelerate's ``save_state``, and Lightning's ``.ckpt`` files. Most of these are pickles. They are read
    without running anything that is in them, and what cannot be read that way is left out and named, in
    the result and in a warning in the log.

    Args:
        path: The file or folder.
        trust_pickle: Unpickle, which runs code that the files name. Only for files whose origin you know.

    Returns:
        A mapping of component to state; `ImportedCheckpoint.save` makes a checkpoint of it.

    Raises:
        NotFoundError: There is nothing at `path`.
        ConfigError: It is no checkpoint that is understood.
        UntrustedPickleError: Nothing of it can be read without running code.
        CheckpointDamagedError: A file is damaged.

    Example:
        >>> import os, tempfile, torch
        >>> path = os.path.join(tempfile.mkdtemp(), "old.pt")
        >>> model = torch.nn.Linear(2, 1)
        >>> torch.save({"model_state_dict": model.state_dict(), "step": 700}, path)
        >>> old = import_checkpoint(path)
        >>> list(old), old.step
        (['model'], 700)
    """
    source = Path(path)
    if not source.exists():
        raise NotFoundError(f"There is nothing at {str(path)!r}.", hint="Check the path.")
    draft = _read(source, trust_pickle)
    for text in draft.skipped:
        _log.warning(
            "%s: %s was left out: reading it would run code. trust_pickle=True reads it, for files "
            "whose origin you know",
            source.name,
            text,
        )
    return draft.done()


def _read(path: Path, trust_pickle: bool) -> Draft:
    if path.is_file():
        if path.suffix == ".safetensors":
            return _plain.read_safetensors(path)
        return _files.read_file(path, trust_pickle=trust_pickle)
    if (path / "manifest.json").is_file():
        raise ConfigError(
            f"{str(path)!r} is a checkpoint of this package already.",
            hint="Restore it with CheckpointManager on the folder that it is in.",
        )
    if _folders.is_trainer(path):
        return _folders.read_trainer(path, trust_pickle=trust_pickle)
    if _folders.is_accelerate(path):
        return _folders.read_accelerate(path, trust_pickle=trust_pickle)
    if _plain.has_model(path):
        return _plain.read_folder(path, trust_pickle=trust_pickle)
    inside = sorted(child.name for child in path.glob("checkpoint*") if child.is_dir())
    raise ConfigError(
        f"{str(path)!r} is no checkpoint that is understood.",
        hint=(
            f"Pass one of the checkpoints in it: {', '.join(inside[-5:])}."
            if inside
            else "Pass a torch.save file, or a folder of Trainer, accelerate or Lightning. States that are "
            "sharded over processes have to be merged first (accelerate merge-weights)."
        ),
    )
