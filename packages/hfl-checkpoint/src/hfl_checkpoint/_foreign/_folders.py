"""Checkpoint folders of transformers' Trainer and of accelerate's ``save_state``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Dict, List

from hfl_checkpoint._foreign import _pickles, _plain
from hfl_checkpoint._foreign._result import Draft
from hfl_checkpoint.errors import CheckpointDamagedError, UntrustedPickleError

if TYPE_CHECKING:
    from pathlib import Path

# File to component and kind; a number before the suffix is the component's, too.
_TRAINER = {
    "optimizer.pt": ("optimizer", "optimizer"),
    "optimizer.bin": ("optimizer", "optimizer"),
    "scheduler.pt": ("scheduler", "stateful"),
    "scaler.pt": ("scaler", "stateful"),
}
_ACCELERATE = {
    "optimizer.bin": ("optimizer", "optimizer"),
    "scheduler.bin": ("scheduler", "stateful"),
    "sampler.bin": ("sampler", "mapping"),
    "dl_state_dict.bin": ("loader", "mapping"),
    "scaler.pt": ("scaler", "stateful"),
}
_CUSTOM = re.compile(r"custom_checkpoint_(\d+)\.pkl")
_RANK = re.compile(r"(?:rng_state|random_states)_?(\d*)\.(?:pth|pkl)")

# Metrics in the Trainer's log that say how it went, not what was measured.
_NOT_MEASURED = re.compile(r"(_runtime|_per_second|^step|^epoch|^total_flos|^train_)$|^total_flos")


def is_trainer(path: Path) -> bool:
    """Tell whether a folder is a checkpoint of the Trainer."""
    return (path / "trainer_state.json").is_file() or (path / "optimizer.pt").is_file()


def is_accelerate(path: Path) -> bool:
    """Tell whether a folder is one of accelerate's ``save_state``."""
    return any(path.glob("random_states_*.pkl")) or (path / "optimizer.bin").is_file()


def read_trainer(path: Path, *, trust_pickle: bool) -> Draft:
    """Read a checkpoint of the Trainer."""
    draft = Draft("trainer", files=_plain.beside(path))
    _plain.add_models(draft, path, trust_pickle=trust_pickle)
    _add_files(draft, path, _TRAINER, trust_pickle)
    _add_random_states(draft, path, trust_pickle)
    state_file = path / "trainer_state.json"
    if state_file.is_file():
        state = _json(state_file)
        draft.add("trainer_state", "mapping", state)
        draft.step = _whole(state.get("global_step"))
        draft.epoch = _whole(state.get("epoch"))
        draft.metrics = _metrics(state.get("log_history"), draft.step)
    arguments = path / "training_args.bin"
    if arguments.is_file():
        if trust_pickle:
            read = _pickles.read(arguments, trust_pickle=True)
            draft.add("training_args", "mapping", _as_dict(read.value))
        else:
            draft.skipped.append("training_args.bin, which is a pickle as a whole")
    return draft


def read_accelerate(path: Path, *, trust_pickle: bool) -> Draft:
    """Read a folder of accelerate's ``save_state``."""
    draft = Draft("accelerate")
    _plain.add_models(draft, path, trust_pickle=trust_pickle)
    _add_files(draft, path, _ACCELERATE, trust_pickle)
    for file in sorted(path.glob("custom_checkpoint_*.pkl")):
        match = _CUSTOM.fullmatch(file.name)
        if match is not None:
            _add_file(draft, file, f"custom_{match.group(1)}", "stateful", trust_pickle)
    _add_random_states(draft, path, trust_pickle)
    return draft


def _add_files(draft: Draft, path: Path, known: Dict[str, Any], trust_pickle: bool) -> None:
    for name, (component, kind) in known.items():
        stem, _, suffix = name.rpartition(".")
        number = 0
        file = path / name
        while file.is_file():
            own = f"{component}_{number}" if number else component
            _add_file(draft, file, own, kind, trust_pickle)
            number += 1
            file = path / f"{stem}_{number}.{suffix}"


def _add_file(draft: Draft, file: Path, name: str, kind: str, trust_pickle: bool) -> None:
    try:
        read = _pickles.read(file, trust_pickle=trust_pickle)
    except UntrustedPickleError as error:
        draft.skipped.append(f"{file.name} ({'; '.join(error.found)})")
        return
    draft.skipped += [f"{file.name}{text}" for text in read.skipped]
    draft.add(name, kind, read.value)


def _add_random_states(draft: Draft, path: Path, trust_pickle: bool) -> None:
    """The random number generators: one file, or one for each process."""
    files: List[Path] = [file for file in sorted(path.iterdir()) if _RANK.fullmatch(file.name)]
    for file in files:
        match = _RANK.fullmatch(file.name)
        rank = match.group(1) if match else ""
        name = "random_states" if len(files) == 1 else f"random_states_{rank}"
        _add_file(draft, file, name, "mapping", trust_pickle)


def _json(path: Path) -> Dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise CheckpointDamagedError(
            path.parent.name, [f"{path.name} is not valid JSON ({error})"]
        ) from error
    if not isinstance(found, dict):
        raise CheckpointDamagedError(path.parent.name, [f"{path.name} is not a JSON object"])
    return found


def _metrics(history: Any, step: int | None) -> Dict[str, float]:
    found: Dict[str, float] = {}
    for entry in history if isinstance(history, list) else ():
        if isinstance(entry, dict) and entry.get("step") == step:
            found.update(
                (key, float(value))
                for key, value in entry.items()
                if isinstance(value, (int, float)) and not _NOT_MEASURED.search(key)
            )
    return found


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, float)) and value >= 0 else None


def _as_dict(value: Any) -> Any:
    return value.to_dict() if hasattr(value, "to_dict") else vars(value)
