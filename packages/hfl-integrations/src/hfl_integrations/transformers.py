"""transformers' Trainer on the checkpoint manager: one callback takes over.

::

    from hfl_integrations.transformers import LifecycleCallback

    trainer = Trainer(model=model, args=args, callbacks=[LifecycleCallback("runs/digits")])
    trainer.train(resume_from_checkpoint=True)

Importing this module does not import transformers; using a name of it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import lazy_exports

if TYPE_CHECKING:
    from hfl_integrations._trainer._callback import LifecycleCallback
    from hfl_integrations._trainer._export import export_for_trainer

_EXPORTS = {
    "LifecycleCallback": "hfl_integrations._trainer._callback",
    "export_for_trainer": "hfl_integrations._trainer._export",
}

__all__ = ["LifecycleCallback", "export_for_trainer"]

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
