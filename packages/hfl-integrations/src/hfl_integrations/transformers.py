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
    # The aliases say that the names are exported; ruff only knows that of an __init__.
    from hfl_integrations._trainer._callback import (  # noqa: PLC0414
        LifecycleCallback as LifecycleCallback,
    )
    from hfl_integrations._trainer._export import (  # noqa: PLC0414
        export_for_trainer as export_for_trainer,
    )

_EXPORTS = {
    "LifecycleCallback": "hfl_integrations._trainer._callback",
    "export_for_trainer": "hfl_integrations._trainer._export",
}

__all__ = [*_EXPORTS]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
