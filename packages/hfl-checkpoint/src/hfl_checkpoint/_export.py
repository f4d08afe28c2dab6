"""Giving a checkpoint to programs that know nothing of this package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Collection, Dict, List, Literal, Mapping

import torch
from safetensors.torch import save_file

from hfl_checkpoint._adapters import DEFAULT, WEIGHTS
from hfl_checkpoint._arguments import asked_for
from hfl_checkpoint._components import MODEL, PART, PEFT, PRETRAINED
from hfl_checkpoint._pretrained import model_folder
from hfl_checkpoint._reader import read_components
from hfl_checkpoint._run import RunDirectory
from hfl_checkpoint._select import selected
from hfl_core import ConfigError, ConflictError, Files, translated_os_errors

if TYPE_CHECKING:
    import os

    from hfl_checkpoint._find import Which
    from hfl_checkpoint._manifest import Manifest
    from hfl_checkpoint._reader import Saved


def export_checkpoint(
    directory: str | os.PathLike[str],
    which: Which,
    destination: str | os.PathLike[str],
    *,
    form: Literal["safetensors", "torch"] = "safetensors",
    only: Collection[str] | None = None,
) -> Path:
    """Write a checkpoint in a form that other programs read.

    Args:
        directory: The run's directory.
        which: As for `CheckpointManager.load`.
        destination: A new folder (safetensors), or a new file (torch).
        form: ``"safetensors"`` writes a folder as ``save_pretrained`` does: weights, configurations and
            tokenizers, and nothing of the training. ``"torch"`` writes a file of `torch.save`, a pickle: a
            dict of component to state, with the step, and the epoch where it is known; or with a single
            component in `only` its state alone. What each of several processes has of its own is a list.
        only: The components; None means all, and with safetensors all models.

    Returns:
        The path of what was written.

    Raises:
        ConfigError: There is no such form, or nothing that it could hold.
        ConflictError: There is something at `destination`.
        CheckpointNotFoundError: There is no such checkpoint.
        CheckpointDamagedError: It is damaged.
        MissingComponentError: It lacks a component of `only`.

    Example:
        >>> import os, tempfile
        >>> from hfl_checkpoint import CheckpointManager
        >>> run = tempfile.mkdtemp()
        >>> saved = CheckpointManager(run, background=False).save(7, model=torch.nn.Linear(2, 1))
        >>> path = export_checkpoint(run, "latest", os.path.join(tempfile.mkdtemp(), "model"))
        >>> sorted(item.name for item in path.iterdir())
        ['model.safetensors']
    """
    target = Path(destination)
    if form not in ("safetensors", "torch"):
        raise ConfigError(
            f"There is no export form {form!r}.", hint="Use 'safetensors' or 'torch'."
        )
    if target.exists() or target.is_symlink():
        raise ConflictError(
            f"There is something at {str(target)!r} already.",
            hint="Export to a new place; nothing is replaced.",
        )
    with selected(RunDirectory(directory), which, strict=True) as selection:
        manifest, path = selection.manifest, selection.checkpoint.path
        names = asked_for(selection.checkpoint.name, manifest, only)
        with translated_os_errors(f"export to {str(target)!r}"):
            if form == "torch":
                states = {name: _state(path, manifest, name) for name in names}
                is_alone = only is not None and len(names) == 1
                _write_torch(target, states[names[0]] if is_alone else _dated(states, manifest))
            else:
                _write_folder(target, path, manifest, names)
    return target


def _dated(states: Dict[str, Any], manifest: Manifest) -> Dict[str, Any]:
    """States beside the place in training where they were saved, under the names that people use by hand."""
    place = {"step": manifest.step, "epoch": manifest.epoch}
    return {**{key: value for key, value in place.items() if value is not None}, **states}


def _write_torch(target: Path, content: Any) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    try:
        torch.save(content, str(partial))
        partial.rename(target)
    finally:
        if partial.exists():
            partial.unlink()


def _state(source: Path, manifest: Manifest, name: str) -> Any:
    """The state of a component; a list, in the order of ranks, where several processes have their own."""
    found = [
        read_components(source, manifest, [name], rank=rank)[name].as_state_dict()
        for rank in range(max(1, manifest.components[name].ranks))
    ]
    return found if len(found) > 1 else found[0]


def _write_folder(target: Path, source: Path, manifest: Manifest, names: List[str]) -> None:
    chosen = [
        name
        for name in manifest.components
        if name.split(".")[0] in names and not _is_training(manifest.components[name].kind)
    ]
    if not any(manifest.components[name].kind in (MODEL, PEFT) for name in chosen):
        raise ConfigError(
            "There is no model to export: "
            f"{', '.join(names)} hold{'s' if len(names) == 1 else ''} training state.",
            hint="Use form='torch' for it.",
        )
    partial = target.with_name(f"{target.name}.partial")
    partial.mkdir(parents=True)
    try:
        for name in chosen:
            entry = manifest.components[name]
            for file in entry.files:
                if not file.startswith("state/") and not _is_tensors(file):
                    copied = partial / file
                    copied.parent.mkdir(parents=True, exist_ok=True)
                    copied.write_bytes((source / file).read_bytes())
        for name, saved in read_components(
            source, manifest, [n for n in chosen if "." not in n]
        ).items():
            for file, state in _tensor_files(name, saved).items():
                written = partial / file
                written.parent.mkdir(parents=True, exist_ok=True)
                save_file(_separate(state), str(written), metadata={"format": "pt"})
        partial.rename(target)
    finally:
        if partial.exists():
            Files().remove_tree(partial)


def _is_training(kind: str) -> bool:
    return kind not in (MODEL, PEFT, PART, PRETRAINED)


def _is_tensors(file: str) -> bool:
    return ".safetensors" in file


def _tensor_files(name: str, saved: Saved) -> Dict[str, Mapping[str, Any]]:
    """The files of a component's tensors, by their path in the folder."""
    folder = model_folder(name)
    if saved.kind == MODEL:
        return {f"{folder}model.safetensors": saved.state}
    if saved.kind == PEFT:
        return {
            f"{folder}{WEIGHTS}" if adapter == DEFAULT else f"{folder}{adapter}/{WEIGHTS}": state
            for adapter, state in saved.state["adapters"].items()
        }
    return {}


def _separate(state: Mapping[str, Any]) -> Dict[str, Any]:
    """Tensors as the file format wants them: each with memory of its own; a tied one is written once."""
    found: Dict[str, Any] = {}
    seen: Dict[Any, str] = {}
    for key, value in state.items():
        if not isinstance(value, torch.Tensor):
            continue
        place = (value.data_ptr(), tuple(value.shape), value.stride())
        if value.numel() and place in seen:
            continue
        seen[place] = key
        found[key] = value.contiguous().clone()
    return found
