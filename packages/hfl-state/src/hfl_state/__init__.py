"""The whole state of a PyTorch training run as one state dict.

Progress, randomness, data position, best metrics and early stopping, so that a run that is
killed and resumed ends with the same bits as one that never stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_state._best_metric import BestMetric as BestMetric
    from hfl_state._early_stopping import EarlyStopping as EarlyStopping
    from hfl_state._loader import ResumableLoader as ResumableLoader
    from hfl_state._preemption import PreemptionGuard as PreemptionGuard
    from hfl_state._rng import RngState as RngState
    from hfl_state._shuffle_buffer import ShuffleBuffer as ShuffleBuffer
    from hfl_state._training_state import TrainingState as TrainingState

_EXPORTS = {
    "BestMetric": "._best_metric",
    "EarlyStopping": "._early_stopping",
    "PreemptionGuard": "._preemption",
    "ResumableLoader": "._loader",
    "RngState": "._rng",
    "ShuffleBuffer": "._shuffle_buffer",
    "TrainingState": "._training_state",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
