"""The GPUs, asked of the driver, so that no CUDA context is created and torch is not needed."""

from __future__ import annotations

from typing import Any

from hfl_core import get_logger
from hfl_metadata._record import GpuInfo

_log = get_logger(__name__)


def read_gpus() -> list[GpuInfo]:
    """Describe the GPUs.

    Returns:
        All that the driver knows; empty without a driver or a GPU.
    """
    try:
        import pynvml as nvml

        nvml.nvmlInit()
    except Exception as error:  # noqa: BLE001  # no driver, no library, no permission: no GPUs
        _log.debug("The NVIDIA driver does not answer: %s", error)
        return []
    try:
        driver = _ask(nvml, "nvmlSystemGetDriverVersion")
        return [
            _read_gpu(nvml, index, driver) for index in range(_ask(nvml, "nvmlDeviceGetCount") or 0)
        ]
    finally:
        _ask(nvml, "nvmlShutdown")


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
