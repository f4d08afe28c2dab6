"""The GPUs, asked of the driver, so that no CUDA context is created and torch is not needed."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any, List, Tuple

from hfl_core import get_logger
from hfl_metadata._amd import read_amd_gpus
from hfl_metadata._facts import GpuInfo

_log = get_logger(__name__)

SIGNS = ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg", "/etc/nv_tegra_release")
"""What is there where NVIDIA's driver is: on Linux, in its containers, under WSL, on a Jetson.

Without one of them, importing the bindings (0.1 s) is all that asking would do.
"""


def read_gpus() -> Tuple[List[GpuInfo], str | None]:
    """Describe the GPUs.

    Returns:
        All that the drivers know, empty without a driver or a GPU; and the newest CUDA that
        NVIDIA's driver supports.
    """
    if not _may_have_driver():
        return read_amd_gpus(), None
    try:
        import pynvml as nvml

        nvml.nvmlInit()
    except Exception as error:  # noqa: BLE001  # no driver, no library, no permission: no GPUs
        _log.debug("The NVIDIA driver does not answer: %s", error)
        return read_amd_gpus(), None
    try:
        driver = _ask(nvml, "nvmlSystemGetDriverVersion")
        count = _ask(nvml, "nvmlDeviceGetCount") or 0
        cuda = _ask(nvml, "nvmlSystemGetCudaDriverVersion_v2")
        return (
            [_read_gpu(nvml, index, driver) for index in range(count)],
            f"{cuda // 1000}.{cuda % 1000 // 10}" if isinstance(cuda, int) else None,
        )
    finally:
        _ask(nvml, "nvmlShutdown")


def _may_have_driver() -> bool:
    system = platform.system()
    if system == "Linux":
        return any(Path(sign).exists() for sign in SIGNS)
    return system == "Windows"


def _read_gpu(nvml: Any, index: int, driver: Any) -> GpuInfo:
    handle = _ask(nvml, "nvmlDeviceGetHandleByIndex", index)
    memory = _ask(nvml, "nvmlDeviceGetMemoryInfo", handle)
    capability = _ask(nvml, "nvmlDeviceGetCudaComputeCapability", handle)
    return GpuInfo(
        index=index,
        name=_text(_ask(nvml, "nvmlDeviceGetName", handle)) or "unknown",
        memory=None if memory is None else int(memory.total),
        compute_capability=None if capability is None else "{}.{}".format(*capability),
        driver=_text(driver),
    )


def _ask(nvml: Any, function: str, *arguments: Any) -> Any:
    try:
        return getattr(nvml, function)(*arguments)
    except Exception as error:  # noqa: BLE001  # one question that a card refuses costs one field
        _log.debug("%s is not answered: %s", function, error)
        return None


def _text(value: Any) -> str | None:
    # Before version 12 the bindings returned bytes.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
