"""The software: interpreter, operating system, command line."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from hfl_metadata._container import read_container, read_distribution
from hfl_metadata._facts import PlatformInfo, PythonInfo
from hfl_metadata._privacy import private_command, private_text


def read_python() -> PythonInfo:
    """Describe the interpreter.

    Returns:
        Version, implementation, path, and the kind of environment.
    """
    return PythonInfo(
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        executable=private_text(os.fsdecode(sys.executable or "")),
        environment=_environment(),
    )


def _environment() -> str:
    if sys.prefix != sys.base_prefix:
        return "venv"
    return "conda" if Path(sys.prefix, "conda-meta").is_dir() else "system"


def read_platform() -> PlatformInfo:
    """Describe the operating system.

    Returns:
        System, release, machine, a line for people, distribution and container. The name of the
        host is left out.
    """
    return PlatformInfo(
        system=platform.system(),
        release=platform.release(),
        machine=platform.machine(),
        description=platform.platform(),
        distribution=read_distribution(),
        container=read_container(),
    )


def read_command() -> list[str]:
    """Give the command line that started this process.

    Returns:
        Its arguments, secrets masked.
    """
    # orig_argv (3.10) has the interpreter's own options, such as -m and -X, as well.
    original = getattr(sys, "orig_argv", None) or [sys.executable or "python", *sys.argv]
    return private_command(original)
