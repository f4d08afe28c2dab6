"""The machine: processor and memory. Every question may go unanswered; none may raise."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Callable, TypeVar

import psutil

from hfl_core import get_logger
from hfl_metadata._record import CpuInfo, MemoryInfo

_log = get_logger(__name__)

_T = TypeVar("_T")


def read_cpu() -> CpuInfo:
    """Describe the processor.

    Returns:
        Model, cores, and the hardware threads that this process may use.
    """
    return CpuInfo(
        model=_try(_cpu_model) or None,
        physical_cores=_try(lambda: psutil.cpu_count(logical=False)),
        logical_cores=_try(lambda: psutil.cpu_count(logical=True)),
        affinity=_try(_affinity),
    )


def read_memory() -> MemoryInfo:
    """Describe the main memory.

    Returns:
        What the machine has and what the container may use, in bytes.
    """
    return MemoryInfo(total=_try(lambda: int(psutil.virtual_memory().total)), limit=_try(_limit))


def _affinity() -> list[int] | None:
    process = psutil.Process()
    # macOS has no affinity; psutil leaves the method out there.
    return sorted(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else None


def _cpu_model() -> str:
    system = platform.system()
    if system == "Linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Hardware", "cpu model"):
                return value.strip()
    if system == "Darwin":
        answer = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=1,
            check=False,
        )
        return answer.stdout.decode("utf-8", "replace").strip()
    return platform.processor() or platform.machine()


def _limit() -> int | None:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # control groups 2, then 1
        path = Path("/sys/fs/cgroup", name)
        if path.is_file():
            text = path.read_text().strip()
            # "max" in version 2 and a number near 2**63 in version 1 both mean: none.
            return int(text) if text.isdigit() and int(text) < 2**60 else None
    return None


def _try(question: Callable[[], _T]) -> _T | None:
    try:
        return question()
    except Exception as error:  # noqa: BLE001  # a fact that cannot be had must not end a save
        _log.debug("A fact about the hardware is not available: %s", error)
        return None
