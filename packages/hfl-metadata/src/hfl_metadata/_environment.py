"""The software: interpreter, installed distributions, operating system, command line."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys

from hfl_metadata._privacy import private_command, private_text
from hfl_metadata._record import PlatformInfo, PythonInfo


def read_python() -> PythonInfo:
    """Describe the interpreter.

    Returns:
        Version, implementation and path.
    """
    return PythonInfo(
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        executable=private_text(sys.executable or ""),
    )


def read_packages() -> dict[str, str]:
    """List the installed distributions.

    Returns:
        Normalised name (PEP 503) to version, sorted. Of two with the same name the first on
        ``sys.path`` counts, as it does for an import.
    """
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        metadata = distribution.metadata
        # A half-removed distribution has a directory and no METADATA in it.
        name, version = (metadata["Name"], metadata["Version"]) if metadata else (None, None)
        if name and version:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), str(version))
    return dict(sorted(found.items()))


def read_platform() -> PlatformInfo:
    """Describe the operating system.

    Returns:
        System, release, machine and a line for people. The name of the host is left out.
    """
    return PlatformInfo(
        system=platform.system(),
        release=platform.release(),
        machine=platform.machine(),
        description=platform.platform(),
    )


def read_command() -> list[str]:
    """Give the command line that started this process.

    Returns:
        Its arguments, secrets masked.
    """
    # orig_argv (3.10) has the interpreter's own options, such as -m and -X, as well.
    original = getattr(sys, "orig_argv", None) or [sys.executable or "python", *sys.argv]
    return private_command(original)
