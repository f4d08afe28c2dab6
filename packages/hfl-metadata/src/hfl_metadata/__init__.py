"""What was this run: git, environment, hardware, model, data and hyperparameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_metadata._capture import capture as capture
    from hfl_metadata._clock import RunClock as RunClock
    from hfl_metadata._data import DataSource as DataSource
    from hfl_metadata._diff import MetadataChange as MetadataChange
    from hfl_metadata._diff import MetadataDiff as MetadataDiff
    from hfl_metadata._facts import BackendInfo as BackendInfo
    from hfl_metadata._facts import CpuInfo as CpuInfo
    from hfl_metadata._facts import DurationInfo as DurationInfo
    from hfl_metadata._facts import GitInfo as GitInfo
    from hfl_metadata._facts import GpuInfo as GpuInfo
    from hfl_metadata._facts import LauncherInfo as LauncherInfo
    from hfl_metadata._facts import LockFileInfo as LockFileInfo
    from hfl_metadata._facts import MemoryInfo as MemoryInfo
    from hfl_metadata._facts import ModelInfo as ModelInfo
    from hfl_metadata._facts import ModuleInfo as ModuleInfo
    from hfl_metadata._facts import Omission as Omission
    from hfl_metadata._facts import PackageOrigin as PackageOrigin
    from hfl_metadata._facts import PlatformInfo as PlatformInfo
    from hfl_metadata._facts import PythonInfo as PythonInfo
    from hfl_metadata._facts import SubmoduleInfo as SubmoduleInfo
    from hfl_metadata._find import read_metadata as read_metadata
    from hfl_metadata._record import RunMetadata as RunMetadata

_EXPORTS = {
    "BackendInfo": "._facts",
    "CpuInfo": "._facts",
    "DataSource": "._data",
    "DurationInfo": "._facts",
    "GitInfo": "._facts",
    "GpuInfo": "._facts",
    "LauncherInfo": "._facts",
    "LockFileInfo": "._facts",
    "MemoryInfo": "._facts",
    "MetadataChange": "._diff",
    "MetadataDiff": "._diff",
    "ModelInfo": "._facts",
    "ModuleInfo": "._facts",
    "Omission": "._facts",
    "PackageOrigin": "._facts",
    "PlatformInfo": "._facts",
    "PythonInfo": "._facts",
    "RunClock": "._clock",
    "RunMetadata": "._record",
    "SubmoduleInfo": "._facts",
    "capture": "._capture",
    "read_metadata": "._find",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
