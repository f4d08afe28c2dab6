"""ModelCheckpoint's memory of what it saved, as paths; on disk it holds names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, FrozenSet, Mapping, Tuple

_PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")
_SCORES = "best_k_models"


def named(callback: Any) -> FrozenSet[str] | None:
    """Name the checkpoints that a callback remembers, or return None when it keeps all."""
    if callback.save_top_k == -1:
        return None
    paths = [*callback.best_k_models, callback.best_model_path, callback.last_model_path]
    return frozenset(Path(path).name for path in paths if path)


def without_directory(state: Mapping[str, Any]) -> Dict[str, Any]:
    """Leave the directory out of a state: it says where the run was, and whose home that is in."""
    found = {**state, "dirpath": None}
    for key in _PATHS:
        found[key] = Path(state[key]).name if state.get(key) else ""
    found[_SCORES] = {Path(path).name: score for path, score in state[_SCORES].items()}
    return found


def in_directory(state: Mapping[str, Any], directory: Any) -> Dict[str, Any]:
    """Put the directory into a state that has none; one that ModelCheckpoint saved stays as it is."""
    if state.get("dirpath") is not None or directory is None:
        return dict(state)
    found = {**state, "dirpath": directory}
    for key in _PATHS:
        found[key] = str(Path(directory) / state[key]) if state.get(key) else ""
    found[_SCORES] = {str(Path(directory) / name): score for name, score in state[_SCORES].items()}
    return found


def rename(callback: Any, old: str, new: str) -> None:
    """Learn that a checkpoint is elsewhere than where it was thought to be."""
    for name in (*_PATHS, "_last_checkpoint_saved"):
        if getattr(callback, name, None) == old:
            setattr(callback, name, new)
    if old in callback.best_k_models:
        callback.best_k_models[new] = callback.best_k_models.pop(old)


def give_way(arguments: Dict[str, Any]) -> Tuple[str, ...]:
    """Change arguments of ModelCheckpoint's that mean something else here, and say so."""
    notes = []
    if arguments.get("save_last") == "link":
        arguments["save_last"] = True
        notes.append("save_last='link' gives way: last_model_path is the newest checkpoint itself")
    if arguments.get("enable_version_counter") is False:
        arguments["enable_version_counter"] = True
        notes.append(
            "enable_version_counter=False gives way: nothing is overwritten, and what is replaced is "
            "deleted when its successor is safe"
        )
    return tuple(notes)
