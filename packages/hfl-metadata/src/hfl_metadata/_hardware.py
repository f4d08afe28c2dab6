"""The machine: processor and memory. Every question may go unanswered; none may raise."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Callable, TypeVar

import psutil

from hfl_core import get_logger
from hfl_metadata import _cgroup
from hfl_metadata._facts import CpuInfo, MemoryInfo
from hfl_metadata._process import Deadline, ask

_log = get_logger(__name__)

_T = TypeVar("_T")


def read_cpu() -> CpuInfo:
    """Describe the processor.

    Returns:
        Model, cores, and what of them this process may use.
    """
    return CpuInfo(
        model=_try(_cpu_model) or None,
        physical_cores=_try(lambda: psutil.cpu_count(logical=False)),
        logical_cores=_try(lambda: psutil.cpu_count(logical=True)),
        affinity=_try(_affinity),
        limit=_try(_cgroup.cpu_limit),
    )


def read_memory() -> MemoryInfo:
    """Describe the main memory.

    Returns:
        What the machine has and what the container may use, in bytes.
    """
    return MemoryInfo(
        total=_try(lambda: int(psutil.virtual_memory().total)), limit=_try(_cgroup.memory_limit)
    )


def _affinity() -> list[int] | None:
    process = psutil.Process()
    # macOS has no affinity; psutil leaves the method out there.
    return sorted(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else None


def _cpu_model() -> str:
    system = platform.system()
    if system == "Linux":
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() in ("model name", "Hardware", "cpu model"):
                    return value.strip()
    if system == "Darwin":
        answer = ask(["sysctl", "-n", "machdep.cpu.brand_string"], deadline=Deadline(1))
        return answer.output.decode("utf-8", "replace").strip()
    return platform.processor() or platform.machine()


def _try(question: Callable[[], _T]) -> _T | None:
    try:
        return question()
    except Exception as error:  # noqa: BLE001  # a fact that cannot be had must not end a save
        _log.debug("A fact about the hardware is not available: %s", error)
        return None
