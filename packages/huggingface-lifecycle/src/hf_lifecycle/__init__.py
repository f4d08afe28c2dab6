"""Checkpoint, resume exactly, verify: the lifecycle of a training run, in one namespace.

Every name loads its package on first use, so that ``import hf_lifecycle`` is cheap::

    import hf_lifecycle as hfl

    state = hfl.TrainingState(model=model, optimizer=optimizer, loader=loader)
    with hfl.CheckpointManager("runs/digits", save=hfl.EverySteps(500)) as checkpoints:
        checkpoints.resume(state)
        for batch in state.batches(steps=10_000):
            checkpoints.step(state, loss=train_step(batch))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_auth import AuthManager as AuthManager
    from hfl_auth import Credential as Credential
    from hfl_auth import Identity as Identity
    from hfl_checkpoint import Checkpoint as Checkpoint
    from hfl_checkpoint import CheckpointManager as CheckpointManager
    from hfl_checkpoint import CleanupPlan as CleanupPlan
    from hfl_checkpoint import EverySteps as EverySteps
    from hfl_checkpoint import KeepAll as KeepAll
    from hfl_checkpoint import KeepBest as KeepBest
    from hfl_checkpoint import KeepLast as KeepLast
    from hfl_checkpoint import RestoreReport as RestoreReport
    from hfl_checkpoint import VerifyReport as VerifyReport
    from hfl_checkpoint import register_codec as register_codec
    from hfl_core import AuthError as AuthError
    from hfl_core import ConfigError as ConfigError
    from hfl_core import ConflictError as ConflictError
    from hfl_core import DiskSpaceError as DiskSpaceError
    from hfl_core import HflError as HflError
    from hfl_core import IncompatibleStateError as IncompatibleStateError
    from hfl_core import IntegrityError as IntegrityError
    from hfl_core import MissingExtraError as MissingExtraError
    from hfl_core import NetworkError as NetworkError
    from hfl_core import NotFoundError as NotFoundError
    from hfl_core import PermissionDeniedError as PermissionDeniedError
    from hfl_core import Progress as Progress
    from hfl_core import RateLimitError as RateLimitError
    from hfl_core import RetryPolicy as RetryPolicy
    from hfl_core import Settings as Settings
    from hfl_core import Timer as Timer
    from hfl_core import ValidationError as ValidationError
    from hfl_core import configure_logging as configure_logging
    from hfl_core import get_logger as get_logger
    from hfl_core import load_settings as load_settings
    from hfl_core import redact as redact
    from hfl_integrations import LifecycleCallback as LifecycleCallback
    from hfl_metadata import RunMetadata as RunMetadata
    from hfl_metadata import capture as capture
    from hfl_repo import Card as Card
    from hfl_repo import CardUpdate as CardUpdate
    from hfl_repo import Permissions as Permissions
    from hfl_repo import PullRequest as PullRequest
    from hfl_repo import ReclaimReport as ReclaimReport
    from hfl_repo import RepoInfo as RepoInfo
    from hfl_repo import RepoManager as RepoManager
    from hfl_repo import StorageReport as StorageReport
    from hfl_state import BestMetric as BestMetric
    from hfl_state import EarlyStopping as EarlyStopping
    from hfl_state import ResumableLoader as ResumableLoader
    from hfl_state import RngState as RngState
    from hfl_state import TrainingState as TrainingState

_EXPORTS = {
    "AuthError": "hfl_core",
    "AuthManager": "hfl_auth",
    "BestMetric": "hfl_state",
    "Card": "hfl_repo",
    "CardUpdate": "hfl_repo",
    "Checkpoint": "hfl_checkpoint",
    "CheckpointManager": "hfl_checkpoint",
    "CleanupPlan": "hfl_checkpoint",
    "ConfigError": "hfl_core",
    "ConflictError": "hfl_core",
    "Credential": "hfl_auth",
    "DiskSpaceError": "hfl_core",
    "EarlyStopping": "hfl_state",
    "EverySteps": "hfl_checkpoint",
    "HflError": "hfl_core",
    "Identity": "hfl_auth",
    "IncompatibleStateError": "hfl_core",
    "IntegrityError": "hfl_core",
    "KeepAll": "hfl_checkpoint",
    "KeepBest": "hfl_checkpoint",
    "KeepLast": "hfl_checkpoint",
    "LifecycleCallback": "hfl_integrations",
    "MissingExtraError": "hfl_core",
    "NetworkError": "hfl_core",
    "NotFoundError": "hfl_core",
    "PermissionDeniedError": "hfl_core",
    "Permissions": "hfl_repo",
    "Progress": "hfl_core",
    "PullRequest": "hfl_repo",
    "RateLimitError": "hfl_core",
    "ReclaimReport": "hfl_repo",
    "RepoInfo": "hfl_repo",
    "RepoManager": "hfl_repo",
    "RestoreReport": "hfl_checkpoint",
    "ResumableLoader": "hfl_state",
    "RetryPolicy": "hfl_core",
    "RngState": "hfl_state",
    "RunMetadata": "hfl_metadata",
    "Settings": "hfl_core",
    "StorageReport": "hfl_repo",
    "Timer": "hfl_core",
    "TrainingState": "hfl_state",
    "ValidationError": "hfl_core",
    "VerifyReport": "hfl_checkpoint",
    "capture": "hfl_metadata",
    "configure_logging": "hfl_core",
    "get_logger": "hfl_core",
    "load_settings": "hfl_core",
    "redact": "hfl_core",
    "register_codec": "hfl_checkpoint",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
