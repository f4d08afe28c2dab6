"""Capturing a record: what stays the same is asked once in a process."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import os
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple, TypeVar

from hfl_core import get_logger
from hfl_metadata import _facts
from hfl_metadata._backends import read_backends
from hfl_metadata._clock import RunClock
from hfl_metadata._data import describe_data
from hfl_metadata._environment import read_command, read_platform, read_python
from hfl_metadata._git import read_git
from hfl_metadata._gpu import read_gpus
from hfl_metadata._hardware import read_cpu, read_memory
from hfl_metadata._hyperparameters import describe_hyperparameters
from hfl_metadata._launcher import read_launcher
from hfl_metadata._lock_files import read_lock_files
from hfl_metadata._model import describe_model
from hfl_metadata._packages import Packages, read_packages
from hfl_metadata._plain import Plain
from hfl_metadata._privacy import private_text
from hfl_metadata._record import RunMetadata
from hfl_metadata._seeds import read_seeds

_log = get_logger(__name__)

_T = TypeVar("_T")

GPU_TIMEOUT = 10.0
"""Seconds. Without its persistence daemon the driver sets up every GPU first, about one a second."""

_asking = threading.Lock()


def _unlock_in_child() -> None:
    # The thread that held the lock does not exist in a process that was forked meanwhile.
    global _asking  # noqa: PLW0603  # a lock cannot be released by another thread's copy
    _asking = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_in_child)


def capture(
    model: Any = None,
    hyperparameters: Any = None,
    data: Any = None,
    *,
    seeds: Any = None,
    durations: Any = None,
    patch: bool = False,
    **extra: Any,
) -> RunMetadata:
    """Record what this run is.

    The state of the repository in the working directory is asked at the first capture and kept:
    it describes the code that the process has loaded, which an edit during training does not
    change. Packages and hardware are asked once as well, so that later captures cost next to
    nothing. Nothing in here raises because something about the machine, or about what was given,
    cannot be found out: the record's `problems` say what is missing, and why.

    Args:
        model: A model, to be described without its weights.
        hyperparameters: A mapping, a dataclass, an ``argparse.Namespace``, ``TrainingArguments``.
        data: A `DataSource`, plain values, a dataset, or a mapping of splits to datasets.
        seeds: The seed, or a mapping of names to seeds.
        durations: The run's `RunClock`, for how long it took so far.
        patch: Record the difference between the commit and the tracked files itself, not its digest
            alone: up to 1 MiB, with secrets masked.
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
    static, problems = _static(os.getpid())
    git, lock_files = _code(_working_directory(), patch=patch)
    guard = _Guard({**problems})
    gpus, cuda_driver = static["gpus"]
    packages = static["packages"]
    if packages.problem is not None:
        guard.problems["packages"] = packages.problem
    return RunMetadata(
        captured_at=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        git=git,
        command=static["command"],
        python=static["python"],
        packages=dict(packages.versions),
        origins=dict(packages.origins),
        lock_files=lock_files,
        platform=static["platform"],
        cpu=static["cpu"],
        memory=static["memory"],
        gpus=gpus,
        backends=guard.ask("backends", lambda: read_backends(cuda_driver), _facts.BackendInfo()),
        launcher=guard.ask("launcher", read_launcher, _facts.LauncherInfo()),
        seeds=guard.ask("seeds", lambda: read_seeds(seeds, plain), {}),
        durations=guard.ask("durations", lambda: _durations(durations), None),
        model=guard.ask(
            "model", lambda: None if model is None else describe_model(model, plain), None
        ),
        hyperparameters=guard.ask(
            "hyperparameters", lambda: describe_hyperparameters(hyperparameters, plain), {}
        ),
        data=guard.ask("data", lambda: describe_data(data, plain), None),
        extra=plain.convert(extra, "extra"),
        omissions=plain.omissions,
        problems=guard.problems,
    )


class _Guard:
    """Asks for a part of the record, and notes why there is none.

    Args:
        problems: What is known already, by part.
    """

    def __init__(self, problems: Dict[str, str]) -> None:
        self.problems = problems

    def ask(self, part: str, question: Callable[[], _T], default: Any) -> _T:
        """Return the answer, or the default.

        Args:
            part: The field of the record.
            question: Finds it out.
            default: What is recorded when that fails.

        Returns:
            One of the two.
        """
        try:
            return question()
        except Exception as error:  # noqa: BLE001  # a record is never a reason to end a training
            self.problems[part] = private_text(f"{type(error).__name__}: {error}")[:200]
            _log.debug("%s cannot be recorded.", part, exc_info=True)
            chosen: _T = default
            return chosen


def _durations(durations: Any) -> _facts.DurationInfo | None:
    if durations is None or isinstance(durations, _facts.DurationInfo):
        return durations
    if isinstance(durations, RunClock):
        return durations.durations()
    if isinstance(durations, Mapping):
        return _facts.DurationInfo(**durations)
    raise TypeError(f"durations is a RunClock or a DurationInfo, not {type(durations).__name__}")


def _working_directory() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed under the process
        return None


def _code(
    directory: str | None, *, patch: bool
) -> Tuple[_facts.GitInfo, List[_facts.LockFileInfo]]:
    if directory is None:
        return _facts.GitInfo(problem="the working directory no longer exists"), []
    with _asking:
        return copy.deepcopy(_code_once(directory, patch))


@functools.lru_cache(maxsize=8)
def _code_once(directory: str, patch: bool) -> Tuple[_facts.GitInfo, List[_facts.LockFileInfo]]:
    guard = _Guard({})
    git, root = guard.ask(
        "git", lambda: read_git(Path(directory), patch=patch), (_facts.GitInfo(), None)
    )
    if guard.problems:
        git = _facts.GitInfo(problem=guard.problems["git"])
    return git, guard.ask("lock_files", lambda: read_lock_files(Path(directory), root), [])


def _static(process: int) -> Tuple[Dict[str, Any], Dict[str, str]]:
    with _asking:
        found, problems = _static_once(process)
    # Whoever changes a record changes no other. The packages, which are many, are copied flat.
    return {
        name: value if name == "packages" else copy.deepcopy(value) for name, value in found.items()
    }, problems


@functools.lru_cache(maxsize=1)
def _static_once(
    process: int,  # noqa: ARG001  # the key: a fork asks anew
) -> Tuple[Dict[str, Any], Dict[str, str]]:
    guard = _Guard({})
    gpus = _Beside(read_gpus)  # the driver may need seconds, or forever
    found: Dict[str, Any] = {
        "python": guard.ask("python", read_python, _facts.PythonInfo("", "", "")),
        "packages": guard.ask("packages", read_packages, Packages({}, {}, None)),
        "platform": guard.ask("platform", read_platform, _facts.PlatformInfo("", "", "", "")),
        "cpu": guard.ask("cpu", read_cpu, _facts.CpuInfo(None, None, None, None)),
        "memory": guard.ask("memory", read_memory, _facts.MemoryInfo(None, None)),
        "command": guard.ask("command", read_command, []),
        "gpus": guard.ask("gpus", lambda: gpus.answer(GPU_TIMEOUT), ([], None)),
    }
    return found, guard.problems


class _Beside:
    """Asks on a thread of its own, so that nobody has to wait for ever.

    Args:
        question: Finds something out.
    """

    def __init__(self, question: Callable[[], Any]) -> None:
        self._question = question
        self._answers: List[Any] = []
        self._errors: List[Exception] = []
        self._thread = threading.Thread(target=self._run, name="hfl-metadata", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._answers.append(self._question())
        except Exception as error:  # noqa: BLE001  # raised where the answer is wanted
            self._errors.append(error)

    def answer(self, timeout: float) -> Any:
        """Wait for the answer.

        Args:
            timeout: Seconds.

        Returns:
            The answer.

        Raises:
            TimeoutError: There is none in time.
        """
        self._thread.join(timeout)
        if self._errors:
            raise self._errors[0]
        if not self._answers:
            raise TimeoutError(f"no answer within {timeout:g} s")
        return self._answers[0]
