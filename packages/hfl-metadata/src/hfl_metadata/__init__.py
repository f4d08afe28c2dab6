"""What was this run: git, environment, hardware, model, data and hyperparameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_metadata._capture import capture as capture
    from hfl_metadata._record import CpuInfo as CpuInfo
    from hfl_metadata._record import GitInfo as GitInfo
    from hfl_metadata._record import GpuInfo as GpuInfo
    from hfl_metadata._record import MemoryInfo as MemoryInfo
    from hfl_metadata._record import ModelInfo as ModelInfo
    from hfl_metadata._record import Omission as Omission
    from hfl_metadata._record import PlatformInfo as PlatformInfo
    from hfl_metadata._record import PythonInfo as PythonInfo
    from hfl_metadata._record import RunMetadata as RunMetadata

_EXPORTS = {
    "CpuInfo": "._record",
    "GitInfo": "._record",
    "GpuInfo": "._record",
    "MemoryInfo": "._record",
    "ModelInfo": "._record",
    "Omission": "._record",
    "PlatformInfo": "._record",
    "PythonInfo": "._record",
    "RunMetadata": "._record",
    "capture": "._capture",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
