"""Checkpoint folders that accelerate itself wrote."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping

from hfl_checkpoint import CheckpointManager, import_checkpoint
from hfl_core import ConfigError, IncompatibleStateError, get_logger
from hfl_integrations._accelerate import _hooks
from hfl_integrations._accelerate._compat import broadcast_object_list
from hfl_integrations._accelerate._prepared import StepCount, named

if TYPE_CHECKING:
    from hfl_checkpoint import RestoreReport

_log = get_logger(__name__)


def is_stock(path: Path) -> bool:
    """Tell whether a folder is one that ``accelerator.save_state`` wrote.

    Args:
        path: A folder.
    """
    return not (path / "manifest.json").is_file() and (
        any(path.glob("random_states_*.pkl")) or (path / "optimizer.bin").is_file()
    )


def load_stock(
    accelerator: Any, path: Path, *, steps: StepCount, trust_pickle: bool
) -> RestoreReport:
    """Put a folder of ``accelerator.save_state`` into what was prepared.

    Everything is read and compared before anything is changed, but for what load hooks do.

    Args:
        accelerator: The accelerator.
        path: The folder.
        steps: Is set to the steps that the optimizer's state tells of.
        trust_pickle: Unpickle what cannot be read without running code.

    Returns:
        What was restored.

    Raises:
        ConfigError: Something of it cannot be read without running code.
        IncompatibleStateError: It does not fit.
    """
    found = import_checkpoint(path, trust_pickle=trust_pickle)
    if found.skipped:
        raise ConfigError(
            f"{path.name} cannot be read whole without running code that its files name: "
            f"{'; '.join(found.skipped)}.",
            hint="Pass trust_pickle=True if you know where it comes from.",
        )
    count = _steps(found)
    models = list(accelerator._models)
    if _hooks.has_load_hooks(accelerator):
        for hook in accelerator._load_model_state_pre_hook.values():
            hook(models, str(path))
    components = named(accelerator, models)
    extra = [
        name
        for name in found
        if name not in components and name.split("_")[0] not in ("random", "sampler", "loader")
    ]
    if extra:
        raise IncompatibleStateError(
            f"{path.name} holds {', '.join(extra)}, which nothing was prepared or registered for.",
            hint="Prepare and register the same objects as when it was saved, in the same order.",
        )
    with _shared_folder(accelerator) as folder:
        if accelerator.is_main_process:
            wanted = {name: state for name, state in found.items() if name in components}
            dataclasses.replace(found, components=wanted).save(folder, step=count)
        accelerator.wait_for_everyone()
        with CheckpointManager(folder, keep="all", background=False) as reader:
            report = reader.restore("latest", **components)
        accelerator.wait_for_everyone()
    steps.count = count
    warnings = [*_random_states(accelerator, found), *_position(accelerator)]
    for text in warnings:
        _log.warning("%s: %s", path.name, text)
    return dataclasses.replace(
        report,
        checkpoint=dataclasses.replace(report.checkpoint, name=path.name, path=path),
        warnings=tuple(warnings),
    )


@contextlib.contextmanager
def _shared_folder(accelerator: Any) -> Iterator[str]:
    """A temporary folder of the first process, for all of them."""
    with contextlib.ExitStack() as stack:
        folder: List[Any] = [None]
        if accelerator.is_main_process:
            folder[0] = stack.enter_context(tempfile.TemporaryDirectory(prefix="hfl-import-"))
        if accelerator.num_processes > 1:
            broadcast_object_list(folder)
        yield str(folder[0])


def _steps(found: Mapping[str, Any]) -> int:
    """The steps that an optimizer counts for its parameters; accelerate counts none."""
    states = found.get("optimizer", {}).get("state", {})
    counts = [int(each["step"]) for each in states.values() if "step" in each]
    return max(counts, default=0)


def _random_states(accelerator: Any, found: Mapping[str, Any]) -> List[str]:
    import numpy as np
    import torch

    own = found.get(f"random_states_{accelerator.process_index}", found.get("random_states"))
    if own is None:
        return [
            f"it has no random states of process {accelerator.process_index}, which draws others"
        ]
    accelerator.step = int(own.get("step", accelerator.step))
    put: Dict[str, Any] = {
        "random_state": lambda value: random.setstate(_tupled(value)),
        "numpy_random_seed": np.random.set_state,
        "torch_manual_seed": torch.set_rng_state,
    }
    if torch.cuda.is_available():
        put["torch_cuda_manual_seed"] = torch.cuda.set_rng_state_all
    missing = [name for name in put if name not in own]
    for name, write in put.items():
        if name in own:
            write(own[name])
    return [f"its {name} is not there, and other numbers will be drawn" for name in missing]


def _tupled(value: Any) -> Any:
    return tuple(_tupled(each) for each in value) if isinstance(value, (list, tuple)) else value


def _position(accelerator: Any) -> List[str]:
    if not accelerator._dataloaders:
        return []
    text = (
        "accelerate's checkpoints hold no data position; the loops over the data loaders begin with "
        "epoch 0: go on with accelerator.skip_first_batches() and set_epoch() as before"
    )
    return [text]
