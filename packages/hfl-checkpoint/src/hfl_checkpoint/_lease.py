"""Leases: who is at work on a directory, so that nobody else removes it.

A lease is a small file. It holds as long as the process that wrote it lives; a process on another
machine, or in another container, cannot be asked, so its lease holds for a day.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping

if TYPE_CHECKING:
    from hfl_core import Files

_FOREIGN_SECONDS = 24 * 3600.0

# This process's own leases that were not given back, by their file, each with its nonce. One whose file outlived its end, because the disk
# failed when it was to be removed, holds no longer; else what it guards would stay as long as the process.
_own: Dict[str, str] = {}

# Clocks of one machine agree on when a process began to within a tick.
_SAME_START_SECONDS = 1.0


def take(files: Files, path: Path) -> None:
    """Write a lease of this process."""
    import psutil  # 40 ms, which a list of checkpoints need not pay

    me = psutil.Process()
    _own[str(path)] = secrets.token_hex(8)
    holder = {
        **_place(),
        "nonce": _own[str(path)],
        "pid": os.getpid(),
        "started": me.create_time(),
        "born": _birth(os.getpid()),
    }
    files.write_bytes(path, json.dumps(holder).encode())


def give_back(path: Path) -> None:
    """End a lease of this process; its file goes as well, if the disk lets it."""
    _own.pop(str(path), None)
    with contextlib.suppress(OSError):
        path.unlink()


def take_for_reading(files: Files, directory: Path, name: str) -> Path:
    """Write a reader's lease on a checkpoint, and return its file.

    Args:
        files: The file layer.
        directory: The run's directory of leases.
        name: The checkpoint.
    """
    files.ensure_directory(directory)
    path = directory / f"{name}.{secrets.token_hex(4)}.json"
    take(files, path)
    return path


def readers(directory: Path) -> set[str]:
    """Name the checkpoints that somebody reads right now; stale leases are removed."""
    names = set()
    for path in directory.glob("*.json") if directory.is_dir() else ():
        if is_held(path):
            names.add(path.name.rsplit(".", 2)[0])
        else:
            path.unlink(missing_ok=True)
    return names


def is_held(path: Path) -> bool:
    """Whether the process behind a lease may still be at work.

    A lease that cannot be read belongs to a process that died while it wrote it, or is being written
    right now; its age decides.
    """
    import psutil  # as above

    try:
        age = time.time() - path.stat().st_mtime
        holder = json.loads(path.read_bytes())
        if any(holder[key] != value for key, value in _place().items()):
            return age < _FOREIGN_SECONDS
        return _is_at_work(holder)
    except FileNotFoundError:
        return False
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # pragma: no cover  # another user's process: it lives
        return True
    except (ValueError, KeyError, TypeError):
        return age < 60.0


def _is_at_work(holder: Mapping[str, Any]) -> bool:
    import psutil  # as above

    process = psutil.Process(holder["pid"])
    if process.status() == psutil.STATUS_ZOMBIE:
        return False  # dead; its parent has not asked how it ended
    if holder.get("born") is not None:
        is_same = bool(holder["born"] == _birth(holder["pid"]))
    else:
        is_same = abs(process.create_time() - holder["started"]) < _SAME_START_SECONDS
    if is_same and holder["pid"] == os.getpid() and "nonce" in holder:
        return holder["nonce"] in list(_own.values())
    return is_same


def _birth(pid: int) -> str | None:
    """What tells a process from a later one with its number, whatever happens to the clock; None if unknown.

    On Linux, the time at which a process began is reckoned from the time of the boot, which is reckoned
    from the clock: when that is set, all processes seem to have begun at another time.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8")
        # proc_pid_stat(5): starttime is field 22; the second one, in parentheses, may hold anything.
        return f"{boot.strip()}/{stat.rpartition(')')[2].split()[19]}"
    except (OSError, IndexError):
        return None


def _place() -> Dict[str, str | None]:
    """Where a process id means this process: containers may share a host name and count for themselves."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # no file is behind it
    except OSError:  # not Linux
        namespace = None
    return {"host": socket.gethostname(), "pid_namespace": namespace}
