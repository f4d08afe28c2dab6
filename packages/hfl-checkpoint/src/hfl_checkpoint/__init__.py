"""Save, keep, find, verify and restore the checkpoints of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_checkpoint._background import PendingCheckpoint as PendingCheckpoint
    from hfl_checkpoint._checkpoint import Checkpoint as Checkpoint
    from hfl_checkpoint._checkpoint import CleanupPlan as CleanupPlan
    from hfl_checkpoint._checkpoint import Decision as Decision
    from hfl_checkpoint._checkpoint import Problem as Problem
    from hfl_checkpoint._checkpoint import RestoreReport as RestoreReport
    from hfl_checkpoint._checkpoint import VerifyReport as VerifyReport
    from hfl_checkpoint._codec import register_codec as register_codec
    from hfl_checkpoint._manager import CheckpointManager as CheckpointManager
    from hfl_checkpoint._policies import EverySteps as EverySteps
    from hfl_checkpoint._policies import SaveContext as SaveContext
    from hfl_checkpoint._policies import SavePolicy as SavePolicy
    from hfl_checkpoint._remote._promote import PromotionReport as PromotionReport
    from hfl_checkpoint._remote._publish import PublishReport as PublishReport
    from hfl_checkpoint._retention import KeepAll as KeepAll
    from hfl_checkpoint._retention import KeepBest as KeepBest
    from hfl_checkpoint._retention import KeepLast as KeepLast
    from hfl_checkpoint._retention import KeepPolicy as KeepPolicy
    from hfl_checkpoint.errors import CheckpointDamagedError as CheckpointDamagedError
    from hfl_checkpoint.errors import CheckpointError as CheckpointError
    from hfl_checkpoint.errors import CheckpointExistsError as CheckpointExistsError
    from hfl_checkpoint.errors import CheckpointNotFoundError as CheckpointNotFoundError
    from hfl_checkpoint.errors import MissingComponentError as MissingComponentError
    from hfl_checkpoint.errors import StateMismatchError as StateMismatchError
    from hfl_checkpoint.errors import UnknownTypeError as UnknownTypeError
    from hfl_checkpoint.errors import UnsupportedFormatError as UnsupportedFormatError

_EXPORTS = {
    "Checkpoint": "._checkpoint",
    "CheckpointDamagedError": ".errors",
    "CheckpointError": ".errors",
    "CheckpointExistsError": ".errors",
    "CheckpointManager": "._manager",
    "CheckpointNotFoundError": ".errors",
    "CleanupPlan": "._checkpoint",
    "Decision": "._checkpoint",
    "EverySteps": "._policies",
    "KeepAll": "._retention",
    "KeepBest": "._retention",
    "KeepLast": "._retention",
    "KeepPolicy": "._retention",
    "MissingComponentError": ".errors",
    "PendingCheckpoint": "._background",
    "Problem": "._checkpoint",
    "PromotionReport": "._remote._promote",
    "PublishReport": "._remote._publish",
    "RestoreReport": "._checkpoint",
    "SaveContext": "._policies",
    "SavePolicy": "._policies",
    "StateMismatchError": ".errors",
    "UnknownTypeError": ".errors",
    "UnsupportedFormatError": ".errors",
    "VerifyReport": "._checkpoint",
    "register_codec": "._codec",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
