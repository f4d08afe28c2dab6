"""The system inside the machine: which distribution, and in which container."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Mapping

# What a container's name for itself, or its control group, begins with, and what it is called here.
_GROUPS = re.compile(r"(?:^|[/:.-])(kubepods|docker|libpod|containerd|lxc|garden)", re.MULTILINE)
_NAMES = {"kubepods": "kubernetes", "libpod": "podman"}


def read_distribution(root: Path = Path("/")) -> str | None:
    """Name the distribution of Linux.

    Args:
        root: The root of the file system.

    Returns:
        ``"Ubuntu 22.04.4 LTS"``, or None where the system does not say.
    """
    for name in ("etc/os-release", "usr/lib/os-release"):
        try:
            text = (root / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found = re.search(r"^PRETTY_NAME=([\"']?)(.*)\1\s*$", text, re.MULTILINE)
        if found:
            return found.group(2)
    return None


def read_container(
    root: Path = Path("/"), environment: Mapping[str, str] | None = None
) -> str | None:
    """Name the kind of container that this process is in.

    Args:
        root: The root of the file system.
        environment: The variables; this process's if None.

    Returns:
        ``"docker"``, ``"kubernetes"`` and so on, or None.
    """
    variables = os.environ if environment is None else environment
    if "KUBERNETES_SERVICE_HOST" in variables:
        return "kubernetes"
    if "APPTAINER_CONTAINER" in variables or "SINGULARITY_CONTAINER" in variables:
        return "apptainer"
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists():
        return "docker"
    if variables.get("container"):  # systemd's convention: lxc, systemd-nspawn, oci
        return variables["container"]
    return _by_group(root) or _wsl(root)


def _by_group(root: Path) -> str | None:
    try:
        text = (root / "proc/1/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = _GROUPS.search(text)
    return None if found is None else _NAMES.get(found.group(1), found.group(1))


def _wsl(root: Path) -> str | None:
    try:
        release = (root / "proc/sys/kernel/osrelease").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    return "wsl" if "microsoft" in release.lower() else None
