"""A checkpoint as accelerate itself saves it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping

from hfl_checkpoint import Checkpoint, CheckpointManager
from hfl_core import ConfigError, ConflictError, Files, translated_os_errors
from hfl_integrations._accelerate._hooks import HOOK_FILES, HookFiles
from hfl_integrations._accelerate._prepared import ACCELERATOR
from hfl_state import RngState

if TYPE_CHECKING:
    import os


def export_for_accelerate(
    checkpoint: Checkpoint | str | os.PathLike[str], folder: str | os.PathLike[str]
) -> Path:
    """Write a checkpoint as ``accelerator.save_state`` does, for ``accelerator.load_state``.

    accelerate reads all but models from pickles. No checkpoint of this library holds one, so they are
    only written here, where you ask for them. Its form has no data position.

    Args:
        checkpoint: A checkpoint, or the path of its directory.
        folder: A new folder.

    Returns:
        The folder.

    Raises:
        ConflictError: It is there already.
        CheckpointDamagedError: The checkpoint is damaged.
        ConfigError: It was not saved by `AcceleratedCheckpoints`.

    Example:
        .. code-block:: python

            accelerator.load_state(export_for_accelerate(checkpoints.manager.latest(), "stock"))
    """
    source = Path(checkpoint.path if isinstance(checkpoint, Checkpoint) else checkpoint)
    target = Path(folder)
    if not (source / "manifest.json").is_file():
        raise ConfigError(
            f"{str(source)!r} is not a checkpoint.",
            hint="Pass the directory of one, or a Checkpoint.",
        )
    if target.exists():
        raise ConflictError(
            f"{str(target)!r} is there already.", hint="Pass another folder; nothing is replaced."
        )
    with CheckpointManager(source.resolve().parent, keep="all", background=False) as manager:
        states = manager.load(source.name)
    if ACCELERATOR not in states:
        raise ConfigError(
            f"{source.name} was not saved by AcceleratedCheckpoints: it has {', '.join(states)}.",
            hint="Its model can be loaded with from_pretrained() or safetensors.",
        )
    with translated_os_errors(f"export to {str(target)!r}"):
        partial = target.with_name(f"{target.name}.partial")
        partial.mkdir(parents=True)
        try:
            _write(partial, states)
            partial.rename(target)
        finally:
            if partial.exists():
                Files().remove_tree(partial)
    return target


def _write(target: Path, states: Mapping[str, Any]) -> None:
    import torch
    from safetensors.torch import save_file

    for name, state in states.items():
        kind, number = _parts(name)
        suffix = f"_{number}" if number else ""
        if kind == "model":
            tensors = _separate(state)
            save_file(
                tensors, str(target / f"model{suffix}.safetensors"), metadata={"format": "pt"}
            )
        elif kind in ("optimizer", "scheduler"):
            torch.save(state, str(target / f"{kind}{suffix}.bin"))
        elif kind == "scaler":
            torch.save(state, str(target / "scaler.pt"))
        elif kind == "custom":
            torch.save(state, str(target / f"custom_checkpoint_{number}.pkl"))
        elif name == HOOK_FILES:
            files = HookFiles()
            files.load_state_dict(state)
            files.write(target)
    streams = _streams(states["rng"], step=states[ACCELERATOR]["step"])
    torch.save(streams, str(target / "random_states_0.pkl"))


def _parts(name: str) -> tuple[str, int]:
    kind, _, number = name.partition("_")
    return (kind, int(number or 0)) if number.isdigit() or not number else (name, 0)


def _separate(state: Mapping[str, Any]) -> Dict[str, Any]:
    """Tensors with memory of their own; a tied one is written once, as accelerate does."""
    found: Dict[str, Any] = {}
    seen = set()
    for name, value in state.items():
        place = (value.data_ptr(), tuple(value.shape), value.stride())
        if value.numel() and place in seen:
            continue
        seen.add(place)
        found[name] = value.contiguous().clone()
    return found


def _streams(saved: Mapping[str, Any], *, step: int) -> Dict[str, Any]:
    """The random streams in accelerate's form: put in place for a moment, and read."""
    import numpy as np
    import torch

    rng = RngState(on_change="override")
    before = rng.state_dict()
    try:
        rng.load_state_dict(saved)
        found: Dict[str, Any] = {
            "step": step,
            "random_state": random.getstate(),
            "numpy_random_seed": np.random.get_state(),
            "torch_manual_seed": torch.get_rng_state(),
        }
        if torch.cuda.is_available():
            found["torch_cuda_manual_seed"] = torch.cuda.get_rng_state_all()
        return found
    finally:
        rng.load_state_dict(before)
