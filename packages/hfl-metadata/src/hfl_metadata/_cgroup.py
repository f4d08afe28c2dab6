"""What the control group, which is what a container is made of, allows (cgroups(7))."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Iterator, List, Tuple

_GROUPS = Path("sys/fs/cgroup")


def memory_limit(root: Path = Path("/")) -> int | None:
    """Give the least memory that the group of this process, and those around it, allow.

    Args:
        root: The root of the file system.

    Returns:
        Bytes, or None for no limit.
    """
    limits: List[int] = []
    for folder, version in _folders(root, "memory"):
        name = "memory.max" if version == 2 else "memory.limit_in_bytes"
        text = _read(folder / name)
        # "max" in version 2 and a number near 2**63 in version 1 both mean: none.
        if text is not None and text.isdigit() and int(text) < 2**60:
            limits.append(int(text))
    return min(limits, default=None)


def cpu_limit(root: Path = Path("/")) -> float | None:
    """Give the least processor time that the group of this process, and those around it, allow.

    Args:
        root: The root of the file system.

    Returns:
        In cores, or None for no limit.
    """
    limits: List[float] = []
    for folder, version in _folders(root, "cpu"):
        if version == 2:
            quota, _, period = (_read(folder / "cpu.max") or "max").partition(" ")
        else:
            quota = _read(folder / "cpu.cfs_quota_us") or "-1"
            period = _read(folder / "cpu.cfs_period_us") or ""
        if quota.isdigit() and period.isdigit() and int(period):
            limits.append(int(quota) / int(period))
    return min(limits, default=None)


def _folders(root: Path, controller: str) -> Iterator[Tuple[Path, int]]:
    """Give the folders of the groups around this process, and the version that each is of."""
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            yield from ((folder, 2) for folder in _upwards(root / _GROUPS, path))
            # On a system with both versions, the second one is mounted beside the first.
            yield from ((folder, 2) for folder in _upwards(root / _GROUPS / "unified", path))
        elif controller in controllers.split(","):
            for mount in (controllers, controller):
                yield from ((folder, 1) for folder in _upwards(root / _GROUPS / mount, path))


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    # Inside of a container the path may be that of the host, which is not mounted: what is left is
    # the mount itself, which then is the container's group.
    inner = PurePosixPath(path.lstrip("/"))
    yield from (mount / place for place in (inner, *inner.parents) if ".." not in place.parts)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
