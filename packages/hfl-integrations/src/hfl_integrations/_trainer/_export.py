"""Checkpoints for a Trainer without the callback."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping

from hfl_checkpoint import Checkpoint, CheckpointManager
from hfl_core import ConfigError, ConflictError, Files, translated_os_errors
from hfl_integrations._trainer._components import POSITION
from hfl_state import RngState

if TYPE_CHECKING:
    import os

_OWN = ("manifest.json", "metadata.json")
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "adapter_model.safetensors",
)


def export_for_trainer(
    checkpoint: Checkpoint | str | os.PathLike[str], folder: str | os.PathLike[str]
) -> Path:
    """Write a checkpoint as a Trainer without `LifecycleCallback` saves it, so that it can go on from there.

    A Trainer reads its optimizer, its schedule and its random streams from pickles and nothing else. No
    checkpoint of this library holds one, so they are only written here, where you ask for them.

    Args:
        checkpoint: A checkpoint, or the path of its directory.
        folder: Where to; ``checkpoint-<step>`` is made in it, as in a Trainer's ``output_dir``.

    Returns:
        The path for ``trainer.train(resume_from_checkpoint=…)``.

    Raises:
        ConflictError: It is there already.
        CheckpointDamagedError: The checkpoint is damaged.
        ConfigError: No Trainer made it, or its weights are compressed.

    Example:
        .. code-block:: python

            path = export_for_trainer(callback.manager.latest(), "stock")
            trainer.train(resume_from_checkpoint=str(path))
    """
    source = Path(checkpoint.path if isinstance(checkpoint, Checkpoint) else checkpoint)
    if not (source / "manifest.json").is_file():
        raise ConfigError(
            f"{str(source)!r} is not a checkpoint.",
            hint="Pass the directory of one, or a Checkpoint.",
        )
    with CheckpointManager(source.resolve().parent, keep="all", background=False) as manager:
        states = manager.load(source.name)
    if POSITION not in states:
        raise ConfigError(
            f"{source.name} was not saved by LifecycleCallback: it has {', '.join(states)}.",
            hint="Its model can be loaded with from_pretrained().",
        )
    if not any((source / name).is_file() for name in _WEIGHTS):
        raise ConfigError(
            f"{source.name} has no weights in a form that a Trainer reads.",
            hint="Save without compression= for the model.",
        )
    target = Path(folder) / f"checkpoint-{states[POSITION]['state']['global_step']}"
    if target.exists():
        raise ConflictError(
            f"{str(target)!r} is there already.", hint="Pass another folder; nothing is replaced."
        )
    with translated_os_errors(f"export to {str(target)!r}"):
        partial = target.with_name(f"{target.name}.partial")
        partial.mkdir(parents=True)
        try:
            _copy_files(source, partial)
            _write_states(partial, states)
            partial.rename(target)
        finally:
            if partial.exists():
                Files().remove_tree(partial)
    return target


def _copy_files(source: Path, target: Path) -> None:
    """Copy what is a Trainer's as well: weights, configurations, the tokenizer."""
    for file in source.rglob("*"):
        name = file.relative_to(source)
        if file.is_file() and name.parts[0] != "state" and str(name) not in _OWN:
            copied = target / name
            copied.parent.mkdir(parents=True, exist_ok=True)
            # Not `copy`: committed files are read-only, and these are to be worked with.
            shutil.copyfile(str(file), str(copied))


def _write_states(target: Path, states: Mapping[str, Any]) -> None:
    import torch

    state = states[POSITION]["state"]
    (target / "trainer_state.json").write_text(
        json.dumps(state, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
    for name in ("optimizer", "scheduler", "scaler"):
        if name in states:
            torch.save(states[name], str(target / f"{name}.pt"))
    torch.save(_streams(states["rank"]["rng"]), str(target / "rng_state.pth"))


def _streams(saved: Mapping[str, Any]) -> Dict[str, Any]:
    """The random streams in the Trainer's form: put in place for a moment, and read."""
    import numpy as np
    import torch

    rng = RngState()
    before = rng.state_dict()
    try:
        rng.load_state_dict(saved)
        found: Dict[str, Any] = {
            "python": random.getstate(),
            "numpy": np.random.get_state(),
            "cpu": torch.get_rng_state(),
        }
        if torch.cuda.is_available():
            found["cuda"] = torch.cuda.get_rng_state()
        return found
    finally:
        rng.load_state_dict(before)
