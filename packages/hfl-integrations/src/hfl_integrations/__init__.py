"""Trainer, Lightning and Accelerate on one checkpoint manager.

Each framework has a module, which is imported with its first use: `hfl_integrations.transformers` and
`hfl_integrations.accelerate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_integrations.accelerate import AcceleratedCheckpoints as AcceleratedCheckpoints
    from hfl_integrations.accelerate import export_for_accelerate as export_for_accelerate
    from hfl_integrations.errors import CompetingCheckpointsError as CompetingCheckpointsError
    from hfl_integrations.errors import UnsupportedFrameworkError as UnsupportedFrameworkError
    from hfl_integrations.lightning import FabricCheckpoints as FabricCheckpoints
    from hfl_integrations.lightning import LifecycleCheckpoint as LifecycleCheckpoint
    from hfl_integrations.lightning import LifecycleCheckpointIO as LifecycleCheckpointIO
    from hfl_integrations.lightning import export_for_lightning as export_for_lightning
    from hfl_integrations.lightning import load_lightning_model as load_lightning_model
    from hfl_integrations.transformers import LifecycleCallback as LifecycleCallback
    from hfl_integrations.transformers import export_for_trainer as export_for_trainer

_EXPORTS = {
    "AcceleratedCheckpoints": ".accelerate",
    "CompetingCheckpointsError": ".errors",
    "FabricCheckpoints": ".lightning",
    "LifecycleCallback": ".transformers",
    "LifecycleCheckpoint": ".lightning",
    "LifecycleCheckpointIO": ".lightning",
    "UnsupportedFrameworkError": ".errors",
    "export_for_accelerate": ".accelerate",
    "export_for_lightning": ".lightning",
    "export_for_trainer": ".transformers",
    "load_lightning_model": ".lightning",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
