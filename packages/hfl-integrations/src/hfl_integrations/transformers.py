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
    # The aliases say that the names are exported; they are in no __init__, where ruff knows that.
    from hfl_integrations._trainer._callback import LifecycleCallback as LifecycleCallback  # noqa: PLC0414
    from hfl_integrations._trainer._export import export_for_trainer as export_for_trainer  # noqa: PLC0414

_EXPORTS = {
    "LifecycleCallback": "._trainer._callback",
    "export_for_trainer": "._trainer._export",
}

__all__ = [*_EXPORTS]  # noqa: PLE0604  # the names are strings, unpacked

# Relative to the package: this module is not one.
__getattr__, __dir__ = lazy_exports(
    __name__, {name: f"hfl_integrations{source}" for name, source in _EXPORTS.items()}
)
