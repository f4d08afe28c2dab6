"""accelerate's save_state and load_state on the checkpoint manager.

::

    from hfl_integrations.accelerate import AcceleratedCheckpoints

    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    with AcceleratedCheckpoints(accelerator, "runs/digits") as checkpoints:
        checkpoints.load_state()
        for epoch in range(checkpoints.epoch, 3):
            for batch in loader:
                ...
            checkpoints.save_state()

Importing this module does not import accelerate; using a name of it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import lazy_exports

if TYPE_CHECKING:
    from hfl_integrations._accelerate._checkpoints import AcceleratedCheckpoints
    from hfl_integrations._accelerate._export import export_for_accelerate

_EXPORTS = {
    "AcceleratedCheckpoints": "hfl_integrations._accelerate._checkpoints",
    "export_for_accelerate": "hfl_integrations._accelerate._export",
}

__all__ = ["AcceleratedCheckpoints", "export_for_accelerate"]

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
