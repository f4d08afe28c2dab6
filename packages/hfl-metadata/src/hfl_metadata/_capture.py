"""Capturing a record: what stays the same is asked once in a process."""

from __future__ import annotations

import datetime as dt
import functools
import os
import threading
from pathlib import Path
from typing import Any

from hfl_metadata._data import describe_data
from hfl_metadata._environment import read_command, read_packages, read_platform, read_python
from hfl_metadata._git import read_git
from hfl_metadata._gpu import read_gpus
from hfl_metadata._hardware import read_cpu, read_memory
from hfl_metadata._model import describe_model
from hfl_metadata._plain import Plain
from hfl_metadata._record import GitInfo, RunMetadata

_asking = threading.Lock()


def capture(
    model: Any = None, hyperparameters: Any = None, data: Any = None, **extra: Any
) -> RunMetadata:
    """Record what this run is.

    The state of the repository in the working directory is asked at the first capture and kept:
    it describes the code that the process has loaded, which an edit during training does not
    change. Packages and hardware are asked once as well, so that later captures cost next to
    nothing. Nothing in here raises because something about the machine cannot be found out.

    Args:
        model: A model, to be described without its weights.
        hyperparameters: A mapping, a dataclass or an ``argparse.Namespace``.
        data: Plain values, a dataset, or a mapping of splits to datasets.
        **extra: Anything else that should be on record.

    Returns:
        The record. Secrets are masked; home directories and the user's name are ``~``. What
        JSON cannot hold is listed in its ``omissions``.

    Example:
        >>> from hfl_metadata import capture
        >>> capture(hyperparameters={"lr": 3e-4}, note="baseline").hyperparameters
        {'lr': 0.0003}
    """
    plain = Plain()
    static = _static(os.getpid())
    return RunMetadata(
        captured_at=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        git=_git(_working_directory()),
        command=list(static["command"]),
        python=static["python"],
        packages=dict(static["packages"]),
        platform=static["platform"],
        cpu=static["cpu"],
        memory=static["memory"],
        gpus=list(static["gpus"]),
        model=None if model is None else describe_model(model, plain),
        hyperparameters=_named(hyperparameters, plain),
        data=describe_data(data, plain),
        extra={name: plain.convert(value, f"extra.{name}") for name, value in extra.items()},
        omissions=plain.omissions,
    )


def _named(hyperparameters: Any, plain: Plain) -> dict[str, Any]:
    if hyperparameters is None:
        return {}
    if type(hyperparameters).__name__ == "Namespace":  # argparse's, and Lightning's
        hyperparameters = vars(hyperparameters)
    to_dict = getattr(hyperparameters, "to_dict", None)  # TrainingArguments, configurations
    converted = plain.convert(
        to_dict() if callable(to_dict) else hyperparameters, "hyperparameters"
    )
    if converted is None or isinstance(converted, dict):
        return converted or {}
    return {"value": converted}


def _working_directory() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed under the process
        return None


def _git(directory: str | None) -> GitInfo:
    if directory is None:
        return GitInfo(problem="the working directory no longer exists")
    with _asking:
        return _git_once(directory)


@functools.lru_cache(maxsize=8)
def _git_once(directory: str) -> GitInfo:
    return read_git(Path(directory))


def _static(process: int) -> dict[str, Any]:
    with _asking:
        return _static_once(process)


@functools.lru_cache(maxsize=1)
def _static_once(process: int) -> dict[str, Any]:  # noqa: ARG001  # the key: a fork asks anew
    return {
        "python": read_python(),
        "packages": read_packages(),
        "platform": read_platform(),
        "cpu": read_cpu(),
        "memory": read_memory(),
        "gpus": read_gpus(),
        "command": read_command(),
    }
