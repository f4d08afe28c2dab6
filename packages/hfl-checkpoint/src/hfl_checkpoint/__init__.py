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
    from hfl_checkpoint._checkpoint import Vote as Vote
    from hfl_checkpoint._codec import register_codec as register_codec
    from hfl_checkpoint._export import export_checkpoint as export_checkpoint
    from hfl_checkpoint._foreign._import import import_checkpoint as import_checkpoint
    from hfl_checkpoint._foreign._result import ImportedCheckpoint as ImportedCheckpoint
    from hfl_checkpoint._manager import CheckpointManager as CheckpointManager
    from hfl_checkpoint._naming import Naming as Naming
    from hfl_checkpoint._overview import RunOverview as RunOverview
    from hfl_checkpoint._overview import find_runs as find_runs
    from hfl_checkpoint._overview import run_overview as run_overview
    from hfl_checkpoint._policies import AtSteps as AtSteps
    from hfl_checkpoint._policies import EveryEpochs as EveryEpochs
    from hfl_checkpoint._policies import EverySteps as EverySteps
    from hfl_checkpoint._policies import SaveContext as SaveContext
    from hfl_checkpoint._policies import SavePolicy as SavePolicy
    from hfl_checkpoint._policies_best import OnBest as OnBest
    from hfl_checkpoint._policies_signal import OnSignal as OnSignal
    from hfl_checkpoint._policies_time import BeforeDeadline as BeforeDeadline
    from hfl_checkpoint._policies_time import EveryMinutes as EveryMinutes
    from hfl_checkpoint._remote._promote import PromotionReport as PromotionReport
    from hfl_checkpoint._remote._report import PublishReport as PublishReport
    from hfl_checkpoint._retention import KeepAll as KeepAll
    from hfl_checkpoint._retention import KeepBest as KeepBest
    from hfl_checkpoint._retention import KeepEvery as KeepEvery
    from hfl_checkpoint._retention import KeepIf as KeepIf
    from hfl_checkpoint._retention import KeepLast as KeepLast
    from hfl_checkpoint._retention import KeepPolicy as KeepPolicy
    from hfl_checkpoint._retention_text import keep_from as keep_from
    from hfl_checkpoint._retention_within import KeepWithin as KeepWithin
    from hfl_checkpoint.errors import AlreadyPublishingError as AlreadyPublishingError
    from hfl_checkpoint.errors import CheckpointDamagedError as CheckpointDamagedError
    from hfl_checkpoint.errors import CheckpointError as CheckpointError
    from hfl_checkpoint.errors import CheckpointExistsError as CheckpointExistsError
    from hfl_checkpoint.errors import CheckpointNotFoundError as CheckpointNotFoundError
    from hfl_checkpoint.errors import IncompleteModelError as IncompleteModelError
    from hfl_checkpoint.errors import MissingComponentError as MissingComponentError
    from hfl_checkpoint.errors import NoModelError as NoModelError
    from hfl_checkpoint.errors import RankFailedError as RankFailedError
    from hfl_checkpoint.errors import RankLostError as RankLostError
    from hfl_checkpoint.errors import SaveSkippedError as SaveSkippedError
    from hfl_checkpoint.errors import SnapshotChangedError as SnapshotChangedError
    from hfl_checkpoint.errors import StateMismatchError as StateMismatchError
    from hfl_checkpoint.errors import UnknownTypeError as UnknownTypeError
    from hfl_checkpoint.errors import UnsupportedFormatError as UnsupportedFormatError
    from hfl_checkpoint.errors import UntrustedPickleError as UntrustedPickleError
    from hfl_checkpoint.errors import WorldSizeError as WorldSizeError

_EXPORTS = {
    "AlreadyPublishingError": ".errors",
    "AtSteps": "._policies",
    "BeforeDeadline": "._policies_time",
    "Checkpoint": "._checkpoint",
    "CheckpointDamagedError": ".errors",
    "CheckpointError": ".errors",
    "CheckpointExistsError": ".errors",
    "CheckpointManager": "._manager",
    "CheckpointNotFoundError": ".errors",
    "CleanupPlan": "._checkpoint",
    "Decision": "._checkpoint",
    "EveryEpochs": "._policies",
    "EveryMinutes": "._policies_time",
    "EverySteps": "._policies",
    "ImportedCheckpoint": "._foreign._result",
    "IncompleteModelError": ".errors",
    "KeepAll": "._retention",
    "KeepBest": "._retention",
    "KeepEvery": "._retention",
    "KeepIf": "._retention",
    "KeepLast": "._retention",
    "KeepPolicy": "._retention",
    "KeepWithin": "._retention_within",
    "MissingComponentError": ".errors",
    "Naming": "._naming",
    "NoModelError": ".errors",
    "OnBest": "._policies_best",
    "OnSignal": "._policies_signal",
    "PendingCheckpoint": "._background",
    "Problem": "._checkpoint",
    "PromotionReport": "._remote._promote",
    "PublishReport": "._remote._report",
    "RankFailedError": ".errors",
    "RankLostError": ".errors",
    "RestoreReport": "._checkpoint",
    "RunOverview": "._overview",
    "SaveContext": "._policies",
    "SavePolicy": "._policies",
    "SaveSkippedError": ".errors",
    "SnapshotChangedError": ".errors",
    "StateMismatchError": ".errors",
    "UnknownTypeError": ".errors",
    "UnsupportedFormatError": ".errors",
    "UntrustedPickleError": ".errors",
    "VerifyReport": "._checkpoint",
    "Vote": "._checkpoint",
    "WorldSizeError": ".errors",
    "export_checkpoint": "._export",
    "find_runs": "._overview",
    "import_checkpoint": "._foreign._import",
    "keep_from": "._retention_text",
    "register_codec": "._codec",
    "run_overview": "._overview",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
