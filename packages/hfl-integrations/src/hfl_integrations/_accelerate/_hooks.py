"""accelerate's hooks before saving and loading, and the files that they write."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping

import torch

from hfl_core import IncompatibleStateError, get_logger

_log = get_logger(__name__)

# The component with the files.
HOOK_FILES = "hook_files"


class HookFiles:
    """What hooks wrote into the folder that they were given: path to content.

    Contents are tensors of bytes, which is how a checkpoint holds much of them.
    """

    def __init__(self) -> None:
        self._files: Dict[str, torch.Tensor] = {}

    def state_dict(self) -> Dict[str, Any]:
        """Return the contents."""
        return dict(self._files)

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take over contents.

        Raises:
            IncompatibleStateError: They are none.
        """
        for name, content in saved.items():
            if not isinstance(content, torch.Tensor) or not _stays_inside(name):
                raise IncompatibleStateError(f"{name!r} is not the content of a file.")
        self._files = dict(saved)

    def gather(self, folder: Path) -> None:
        """Take over the files of a folder.

        Args:
            folder: Where hooks wrote.
        """
        self._files = {
            file.relative_to(folder).as_posix(): _as_tensor(file.read_bytes())
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }

    def write(self, folder: Path) -> None:
        """Write the files.

        Args:
            folder: Where hooks look for them.
        """
        for name, content in self._files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.numpy().tobytes())

    def __len__(self) -> int:
        return len(self._files)


def has_save_hooks(accelerator: Any) -> bool:
    """Tell whether hooks want to be called before a save.

    Args:
        accelerator: The accelerator.
    """
    return bool(accelerator._save_model_state_pre_hook)


def has_load_hooks(accelerator: Any) -> bool:
    """Tell whether hooks want to be called before a load.

    Args:
        accelerator: The accelerator.
    """
    return bool(accelerator._load_model_state_pre_hook)


def before_save(accelerator: Any, files: HookFiles) -> List[Any]:
    """Call the hooks as ``accelerator.save_state`` does.

    Args:
        accelerator: The accelerator.
        files: Takes what they write.

    Returns:
        What is to be saved of the models: the models themselves, without those whose weights a hook has
        taken out of the list; weights that a hook has changed as they are.
    """
    if not has_save_hooks(accelerator):
        return list(accelerator._models)
    weights = [accelerator.get_state_dict(each, unwrap=False) for each in accelerator._models]
    owners = [(state, dict(state), model) for state, model in zip(weights, accelerator._models)]
    with tempfile.TemporaryDirectory(prefix="hfl-hooks-") as folder:
        for hook in accelerator._save_model_state_pre_hook.values():
            hook(accelerator._models, weights, folder)
        files.gather(Path(folder))
    if len(files) and not accelerator.is_main_process:
        _log.warning(
            "process %d: what save hooks write is only saved of the first process",
            accelerator.process_index,
        )
    return [_owner(state, owners) for state in weights]


def _owner(state: Any, owners: Iterable[Any]) -> Any:
    for mine, before, model in owners:
        if mine is state and list(state) == list(before):
            is_as_it_was = all(state[name] is value for name, value in before.items())
            return model if is_as_it_was else _Weights(state)
    return _Weights(state)


class _Weights(torch.nn.Module):
    """Weights that are no longer a model's own, in the place of a model.

    Args:
        state: The weights by name.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        super().__init__()
        self._state = dict(state)

    def state_dict(self, *_: Any, **__: Any) -> Dict[str, Any]:  # type: ignore[override]  # all it is for
        """Return the weights."""
        return dict(self._state)


def before_load(accelerator: Any, files: HookFiles) -> List[Any]:
    """Call the hooks as ``accelerator.load_state`` does.

    Args:
        accelerator: The accelerator.
        files: What they are given to read.

    Returns:
        The models that they leave to be loaded.
    """
    models = list(accelerator._models)
    if has_load_hooks(accelerator):
        with tempfile.TemporaryDirectory(prefix="hfl-hooks-") as folder:
            files.write(Path(folder))
            for hook in accelerator._load_model_state_pre_hook.values():
                hook(models, folder)
    return models


def _as_tensor(content: bytes) -> torch.Tensor:
    if not content:
        return torch.empty(0, dtype=torch.uint8)
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _stays_inside(name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts
