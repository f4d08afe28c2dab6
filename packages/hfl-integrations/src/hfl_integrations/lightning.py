"""Lightning on the checkpoint manager: a callback in the place of ModelCheckpoint.

::

    from hfl_integrations.lightning import LifecycleCheckpoint

    trainer = Trainer(callbacks=[LifecycleCheckpoint("runs/digits", save_last=True)])
    trainer.fit(model, ckpt_path="last")

Importing this module does not import Lightning; using a name of it does. ``lightning`` and
``pytorch_lightning`` both work: import the one that your Trainer is from first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import lazy_exports

if TYPE_CHECKING:
    from hfl_integrations._lightning._callback import LifecycleCheckpoint
    from hfl_integrations._lightning._export import export_for_lightning, load_lightning_model
    from hfl_integrations._lightning._fabric import FabricCheckpoints
    from hfl_integrations._lightning._io import LifecycleCheckpointIO

_EXPORTS = {
    "FabricCheckpoints": "hfl_integrations._lightning._fabric",
    "LifecycleCheckpoint": "hfl_integrations._lightning._callback",
    "LifecycleCheckpointIO": "hfl_integrations._lightning._io",
    "export_for_lightning": "hfl_integrations._lightning._export",
    "load_lightning_model": "hfl_integrations._lightning._export",
}

__all__ = [
    "FabricCheckpoints",
    "LifecycleCheckpoint",
    "LifecycleCheckpointIO",
    "export_for_lightning",
    "load_lightning_model",
]

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
