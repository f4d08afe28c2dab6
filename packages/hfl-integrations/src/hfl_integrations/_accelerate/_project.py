"""What of accelerate's ProjectConfiguration is followed, and what gives way."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping

from hfl_checkpoint import CheckpointManager, KeepLast
from hfl_core import ConfigError, get_logger

_log = get_logger(__name__)

# accelerate's own pattern is "checkpoint_<iteration>", whose number begins anew in every process.
_AUTOMATIC = "checkpoint_{sequence}"


def manager_options(accelerator: Any, options: Mapping[str, Any]) -> Dict[str, Any]:
    """Complete the manager's options with what the project's configuration asks for.

    Args:
        accelerator: The accelerator.
        options: What was passed.

    Returns:
        The options.

    Raises:
        ConfigError: One is not known.
    """
    known = list(inspect.signature(CheckpointManager).parameters)[1:]
    for name in options:
        if name not in known:
            raise ConfigError(
                f"AcceleratedCheckpoints has no option {name!r}.",
                hint=_meant(name) or f"It takes those of CheckpointManager: {', '.join(known)}.",
            )
    found = dict(options)
    project = accelerator.project_configuration
    notes: List[str] = []
    if project.automatic_checkpoint_naming:
        found.setdefault("naming", _AUTOMATIC)
        if project.total_limit is not None and options.get("keep") is None:
            found["keep"] = KeepLast(project.total_limit)
        elif project.total_limit is not None:
            notes.append(f"total_limit={project.total_limit} gives way to keep={options['keep']!r}")
    elif project.total_limit is not None and options.get("keep") is None:
        notes.append(
            f"total_limit={project.total_limit} without automatic_checkpoint_naming limits nothing, as in "
            f"accelerate; keep=KeepLast({project.total_limit}) does"
        )
    if project.save_on_each_node:
        notes.append("save_on_each_node gives way: a checkpoint is written once")
    if notes and accelerator.is_main_process:
        _log.warning("ProjectConfiguration: %s.", "; ".join(notes))
    return found


def _meant(name: str) -> str | None:
    return {
        "total_limit": "Pass keep=KeepLast(n).",
        "safe_serialization": "Leave it out: checkpoints hold safetensors and nothing else.",
        "output_dir": "The directory is the second argument.",
    }.get(name)


def refuse_to_forget(accelerator: Any, directory: Path) -> None:
    """Say that there are checkpoints of accelerate's own where no other was found.

    Args:
        accelerator: The accelerator.
        directory: Where none was found.

    Raises:
        ConfigError: There are; beginning anew would lose work.
    """
    project = accelerator.project_configuration
    if not project.automatic_checkpoint_naming or not project.project_dir:
        return
    folder = Path(project.project_dir) / "checkpoints"
    numbers = [
        int(match.group(1))
        for item in (folder.iterdir() if folder.is_dir() else ())
        for match in [re.fullmatch(r"checkpoint_(\d+)", item.name)]
        if match and not (item / "manifest.json").is_file()
    ]
    if numbers:
        newest = str(folder / f"checkpoint_{max(numbers)}")
        raise ConfigError(
            f"{directory} has no checkpoint yet, and {newest!r} was saved by accelerate itself.",
            hint=f"Pass load_state({newest!r}) to go on from it, or move it away to begin anew.",
        )
