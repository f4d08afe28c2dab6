"""Checkpoint, resume exactly, verify: the lifecycle of a training run, in one namespace.

Every name loads its package on first use, so that ``import hf_lifecycle`` is cheap:

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
    from hfl_auth import DeviceCode as DeviceCode
    from hfl_auth import Identity as Identity
    from hfl_auth import InsecureFileError as InsecureFileError
    from hfl_auth import InvalidTokenError as InvalidTokenError
    from hfl_auth import LoginError as LoginError
    from hfl_auth import MalformedTokenError as MalformedTokenError
    from hfl_auth import Profile as Profile
    from hfl_auth import ProfileNotFoundError as ProfileNotFoundError
    from hfl_auth import SourceReport as SourceReport
    from hfl_auth import TokenNotFoundError as TokenNotFoundError
    from hfl_auth import WrongAccountError as WrongAccountError
    from hfl_auth import WrongEndpointError as WrongEndpointError
    from hfl_auth import clean_token as clean_token
    from hfl_auth import mask_token as mask_token
    from hfl_checkpoint import AlreadyPublishingError as AlreadyPublishingError
    from hfl_checkpoint import AtSteps as AtSteps
    from hfl_checkpoint import BeforeDeadline as BeforeDeadline
    from hfl_checkpoint import Checkpoint as Checkpoint
    from hfl_checkpoint import CheckpointDamagedError as CheckpointDamagedError
    from hfl_checkpoint import CheckpointError as CheckpointError
    from hfl_checkpoint import CheckpointExistsError as CheckpointExistsError
    from hfl_checkpoint import CheckpointManager as CheckpointManager
    from hfl_checkpoint import CheckpointNotFoundError as CheckpointNotFoundError
    from hfl_checkpoint import CleanupPlan as CleanupPlan
    from hfl_checkpoint import Decision as Decision
    from hfl_checkpoint import EveryEpochs as EveryEpochs
    from hfl_checkpoint import EveryMinutes as EveryMinutes
    from hfl_checkpoint import EverySteps as EverySteps
    from hfl_checkpoint import ImportedCheckpoint as ImportedCheckpoint
    from hfl_checkpoint import IncompleteModelError as IncompleteModelError
    from hfl_checkpoint import KeepAll as KeepAll
    from hfl_checkpoint import KeepBest as KeepBest
    from hfl_checkpoint import KeepEvery as KeepEvery
    from hfl_checkpoint import KeepIf as KeepIf
    from hfl_checkpoint import KeepLast as KeepLast
    from hfl_checkpoint import KeepPolicy as KeepPolicy
    from hfl_checkpoint import KeepWithin as KeepWithin
    from hfl_checkpoint import MissingComponentError as MissingComponentError
    from hfl_checkpoint import Naming as Naming
    from hfl_checkpoint import NoModelError as NoModelError
    from hfl_checkpoint import OnBest as OnBest
    from hfl_checkpoint import OnSignal as OnSignal
    from hfl_checkpoint import PendingCheckpoint as PendingCheckpoint
    from hfl_checkpoint import Problem as Problem
    from hfl_checkpoint import PromotionReport as PromotionReport
    from hfl_checkpoint import PublishReport as PublishReport
    from hfl_checkpoint import RankFailedError as RankFailedError
    from hfl_checkpoint import RankLostError as RankLostError
    from hfl_checkpoint import RestoreReport as RestoreReport
    from hfl_checkpoint import RunOverview as RunOverview
    from hfl_checkpoint import SaveContext as SaveContext
    from hfl_checkpoint import SavePolicy as SavePolicy
    from hfl_checkpoint import SaveSkippedError as SaveSkippedError
    from hfl_checkpoint import SnapshotChangedError as SnapshotChangedError
    from hfl_checkpoint import StateMismatchError as StateMismatchError
    from hfl_checkpoint import UnknownTypeError as UnknownTypeError
    from hfl_checkpoint import UnsupportedFormatError as UnsupportedFormatError
    from hfl_checkpoint import UntrustedPickleError as UntrustedPickleError
    from hfl_checkpoint import VerifyReport as VerifyReport
    from hfl_checkpoint import Vote as Vote
    from hfl_checkpoint import WorldSizeError as WorldSizeError
    from hfl_checkpoint import export_checkpoint as export_checkpoint
    from hfl_checkpoint import find_runs as find_runs
    from hfl_checkpoint import import_checkpoint as import_checkpoint
    from hfl_checkpoint import keep_from as keep_from
    from hfl_checkpoint import register_codec as register_codec
    from hfl_checkpoint import run_overview as run_overview
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
    from hfl_core import Notifier as Notifier
    from hfl_core import PermissionDeniedError as PermissionDeniedError
    from hfl_core import Progress as Progress
    from hfl_core import ProgressTask as ProgressTask
    from hfl_core import ProgressUpdate as ProgressUpdate
    from hfl_core import RateLimitError as RateLimitError
    from hfl_core import RetryPolicy as RetryPolicy
    from hfl_core import Settings as Settings
    from hfl_core import Span as Span
    from hfl_core import Timer as Timer
    from hfl_core import TimeSummary as TimeSummary
    from hfl_core import ValidationError as ValidationError
    from hfl_core import configure_logging as configure_logging
    from hfl_core import get_logger as get_logger
    from hfl_core import load_settings as load_settings
    from hfl_core import log_context as log_context
    from hfl_core import log_fields as log_fields
    from hfl_core import redact as redact
    from hfl_core import set_log_context as set_log_context
    from hfl_datasets import ColumnDrift as ColumnDrift
    from hfl_datasets import DatasetDiff as DatasetDiff
    from hfl_datasets import DatasetManager as DatasetManager
    from hfl_datasets import DatasetStream as DatasetStream
    from hfl_datasets import DatasetValidationError as DatasetValidationError
    from hfl_datasets import DatasetVersion as DatasetVersion
    from hfl_datasets import Expectation as Expectation
    from hfl_datasets import Finding as Finding
    from hfl_datasets import RowChanges as RowChanges
    from hfl_datasets import RowCountError as RowCountError
    from hfl_datasets import SchemaMismatchError as SchemaMismatchError
    from hfl_datasets import Source as Source
    from hfl_datasets import SourceNotFoundError as SourceNotFoundError
    from hfl_datasets import SplitDiff as SplitDiff
    from hfl_datasets import SplitNotFoundError as SplitNotFoundError
    from hfl_datasets import SplitSource as SplitSource
    from hfl_datasets import UnreadableDataError as UnreadableDataError
    from hfl_datasets import UnsupportedSourceError as UnsupportedSourceError
    from hfl_datasets import UploadReport as UploadReport
    from hfl_datasets import ValidationReport as ValidationReport
    from hfl_datasets import check_splits as check_splits
    from hfl_datasets import create_splits as create_splits
    from hfl_datasets import load_expectations as load_expectations
    from hfl_datasets import open_configs as open_configs
    from hfl_datasets import open_source as open_source
    from hfl_datasets import rename_splits as rename_splits
    from hfl_datasets import validate_dataset as validate_dataset
    from hfl_integrations import AcceleratedCheckpoints as AcceleratedCheckpoints
    from hfl_integrations import CompetingCheckpointsError as CompetingCheckpointsError
    from hfl_integrations import FabricCheckpoints as FabricCheckpoints
    from hfl_integrations import LifecycleCallback as LifecycleCallback
    from hfl_integrations import LifecycleCheckpoint as LifecycleCheckpoint
    from hfl_integrations import LifecycleCheckpointIO as LifecycleCheckpointIO
    from hfl_integrations import UnsupportedFrameworkError as UnsupportedFrameworkError
    from hfl_integrations import export_for_accelerate as export_for_accelerate
    from hfl_integrations import export_for_lightning as export_for_lightning
    from hfl_integrations import export_for_trainer as export_for_trainer
    from hfl_integrations import load_lightning_model as load_lightning_model
    from hfl_localhub import Fault as Fault
    from hfl_localhub import Faults as Faults
    from hfl_localhub import LocalHub as LocalHub
    from hfl_localhub import RequestLog as RequestLog
    from hfl_localhub import RequestRecord as RequestRecord
    from hfl_metadata import BackendInfo as BackendInfo
    from hfl_metadata import CpuInfo as CpuInfo
    from hfl_metadata import DataSource as DataSource
    from hfl_metadata import DurationInfo as DurationInfo
    from hfl_metadata import GitInfo as GitInfo
    from hfl_metadata import GpuInfo as GpuInfo
    from hfl_metadata import LauncherInfo as LauncherInfo
    from hfl_metadata import LockFileInfo as LockFileInfo
    from hfl_metadata import MemoryInfo as MemoryInfo
    from hfl_metadata import MetadataChange as MetadataChange
    from hfl_metadata import MetadataDiff as MetadataDiff
    from hfl_metadata import ModelInfo as ModelInfo
    from hfl_metadata import ModuleInfo as ModuleInfo
    from hfl_metadata import Omission as Omission
    from hfl_metadata import PackageOrigin as PackageOrigin
    from hfl_metadata import PlatformInfo as PlatformInfo
    from hfl_metadata import PythonInfo as PythonInfo
    from hfl_metadata import RunClock as RunClock
    from hfl_metadata import RunMetadata as RunMetadata
    from hfl_metadata import SubmoduleInfo as SubmoduleInfo
    from hfl_metadata import capture as capture
    from hfl_metadata import read_metadata as read_metadata
    from hfl_registry import AdapterEntry as AdapterEntry
    from hfl_registry import AdapterMismatchError as AdapterMismatchError
    from hfl_registry import AdapterRecord as AdapterRecord
    from hfl_registry import BasePin as BasePin
    from hfl_registry import Check as Check
    from hfl_registry import Merged as Merged
    from hfl_registry import MergeError as MergeError
    from hfl_registry import MergePlan as MergePlan
    from hfl_registry import ModelCard as ModelCard
    from hfl_registry import ModelRegistry as ModelRegistry
    from hfl_registry import ModelValidationError as ModelValidationError
    from hfl_registry import ModelValidationReport as ModelValidationReport
    from hfl_registry import Published as Published
    from hfl_registry import PublishedModel as PublishedModel
    from hfl_registry import Quantization as Quantization
    from hfl_registry import QuantizedMergeError as QuantizedMergeError
    from hfl_registry import Registration as Registration
    from hfl_registry import RegistrationConflictError as RegistrationConflictError
    from hfl_registry import RoundTripError as RoundTripError
    from hfl_registry import Stage as Stage
    from hfl_registry import StageMove as StageMove
    from hfl_registry import StageNotFoundError as StageNotFoundError
    from hfl_registry import UnpinnedBaseError as UnpinnedBaseError
    from hfl_registry import UnportableCodeError as UnportableCodeError
    from hfl_registry import make_card as make_card
    from hfl_registry import merge_adapters as merge_adapters
    from hfl_registry import plan_merge as plan_merge
    from hfl_registry import quantization_of as quantization_of
    from hfl_repo import Card as Card
    from hfl_repo import CardConflictError as CardConflictError
    from hfl_repo import CardDraft as CardDraft
    from hfl_repo import CardUpdate as CardUpdate
    from hfl_repo import Change as Change
    from hfl_repo import Commit as Commit
    from hfl_repo import ConfirmationError as ConfirmationError
    from hfl_repo import EntryNotFoundError as EntryNotFoundError
    from hfl_repo import GatedRepoError as GatedRepoError
    from hfl_repo import GitattributesUpdate as GitattributesUpdate
    from hfl_repo import HeadMovedError as HeadMovedError
    from hfl_repo import InvalidCardError as InvalidCardError
    from hfl_repo import Permissions as Permissions
    from hfl_repo import PullRequest as PullRequest
    from hfl_repo import ReclaimReport as ReclaimReport
    from hfl_repo import Ref as Ref
    from hfl_repo import RefExistsError as RefExistsError
    from hfl_repo import RefUsage as RefUsage
    from hfl_repo import RemoteFile as RemoteFile
    from hfl_repo import RepoArchivedError as RepoArchivedError
    from hfl_repo import RepoExistsError as RepoExistsError
    from hfl_repo import RepoInfo as RepoInfo
    from hfl_repo import RepoManager as RepoManager
    from hfl_repo import RepoNotFoundError as RepoNotFoundError
    from hfl_repo import RepoTree as RepoTree
    from hfl_repo import RevisionNotFoundError as RevisionNotFoundError
    from hfl_repo import StorageReport as StorageReport
    from hfl_repo import StoredFile as StoredFile
    from hfl_repo import TransferReport as TransferReport
    from hfl_repo import TransferTimeoutError as TransferTimeoutError
    from hfl_repo import UnsafeUploadError as UnsafeUploadError
    from hfl_repo import UploadConflictError as UploadConflictError
    from hfl_repo import VisibilityMismatchError as VisibilityMismatchError
    from hfl_state import BestMetric as BestMetric
    from hfl_state import EarlyStopping as EarlyStopping
    from hfl_state import PreemptionGuard as PreemptionGuard
    from hfl_state import ResumableLoader as ResumableLoader
    from hfl_state import RngState as RngState
    from hfl_state import ShuffleBuffer as ShuffleBuffer
    from hfl_state import TrainingState as TrainingState

_EXPORTS = {
    "AcceleratedCheckpoints": "hfl_integrations",
    "AdapterEntry": "hfl_registry",
    "AdapterMismatchError": "hfl_registry",
    "AdapterRecord": "hfl_registry",
    "AlreadyPublishingError": "hfl_checkpoint",
    "AtSteps": "hfl_checkpoint",
    "AuthError": "hfl_core",
    "AuthManager": "hfl_auth",
    "BackendInfo": "hfl_metadata",
    "BasePin": "hfl_registry",
    "BeforeDeadline": "hfl_checkpoint",
    "BestMetric": "hfl_state",
    "Card": "hfl_repo",
    "CardConflictError": "hfl_repo",
    "CardDraft": "hfl_repo",
    "CardUpdate": "hfl_repo",
    "Change": "hfl_repo",
    "Check": "hfl_registry",
    "Checkpoint": "hfl_checkpoint",
    "CheckpointDamagedError": "hfl_checkpoint",
    "CheckpointError": "hfl_checkpoint",
    "CheckpointExistsError": "hfl_checkpoint",
    "CheckpointManager": "hfl_checkpoint",
    "CheckpointNotFoundError": "hfl_checkpoint",
    "CleanupPlan": "hfl_checkpoint",
    "ColumnDrift": "hfl_datasets",
    "Commit": "hfl_repo",
    "CompetingCheckpointsError": "hfl_integrations",
    "ConfigError": "hfl_core",
    "ConfirmationError": "hfl_repo",
    "ConflictError": "hfl_core",
    "CpuInfo": "hfl_metadata",
    "Credential": "hfl_auth",
    "DataSource": "hfl_metadata",
    "DatasetDiff": "hfl_datasets",
    "DatasetManager": "hfl_datasets",
    "DatasetStream": "hfl_datasets",
    "DatasetValidationError": "hfl_datasets",
    "DatasetVersion": "hfl_datasets",
    "Decision": "hfl_checkpoint",
    "DeviceCode": "hfl_auth",
    "DiskSpaceError": "hfl_core",
    "DurationInfo": "hfl_metadata",
    "EarlyStopping": "hfl_state",
    "EntryNotFoundError": "hfl_repo",
    "EveryEpochs": "hfl_checkpoint",
    "EveryMinutes": "hfl_checkpoint",
    "EverySteps": "hfl_checkpoint",
    "Expectation": "hfl_datasets",
    "FabricCheckpoints": "hfl_integrations",
    "Fault": "hfl_localhub",
    "Faults": "hfl_localhub",
    "Finding": "hfl_datasets",
    "GatedRepoError": "hfl_repo",
    "GitInfo": "hfl_metadata",
    "GitattributesUpdate": "hfl_repo",
    "GpuInfo": "hfl_metadata",
    "HeadMovedError": "hfl_repo",
    "HflError": "hfl_core",
    "Identity": "hfl_auth",
    "ImportedCheckpoint": "hfl_checkpoint",
    "IncompatibleStateError": "hfl_core",
    "IncompleteModelError": "hfl_checkpoint",
    "InsecureFileError": "hfl_auth",
    "IntegrityError": "hfl_core",
    "InvalidCardError": "hfl_repo",
    "InvalidTokenError": "hfl_auth",
    "KeepAll": "hfl_checkpoint",
    "KeepBest": "hfl_checkpoint",
    "KeepEvery": "hfl_checkpoint",
    "KeepIf": "hfl_checkpoint",
    "KeepLast": "hfl_checkpoint",
    "KeepPolicy": "hfl_checkpoint",
    "KeepWithin": "hfl_checkpoint",
    "LauncherInfo": "hfl_metadata",
    "LifecycleCallback": "hfl_integrations",
    "LifecycleCheckpoint": "hfl_integrations",
    "LifecycleCheckpointIO": "hfl_integrations",
    "LocalHub": "hfl_localhub",
    "LockFileInfo": "hfl_metadata",
    "LoginError": "hfl_auth",
    "MalformedTokenError": "hfl_auth",
    "MemoryInfo": "hfl_metadata",
    "MergeError": "hfl_registry",
    "MergePlan": "hfl_registry",
    "Merged": "hfl_registry",
    "MetadataChange": "hfl_metadata",
    "MetadataDiff": "hfl_metadata",
    "MissingComponentError": "hfl_checkpoint",
    "MissingExtraError": "hfl_core",
    "ModelCard": "hfl_registry",
    "ModelInfo": "hfl_metadata",
    "ModelRegistry": "hfl_registry",
    "ModelValidationError": "hfl_registry",
    "ModelValidationReport": "hfl_registry",
    "ModuleInfo": "hfl_metadata",
    "Naming": "hfl_checkpoint",
    "NetworkError": "hfl_core",
    "NoModelError": "hfl_checkpoint",
    "NotFoundError": "hfl_core",
    "Notifier": "hfl_core",
    "Omission": "hfl_metadata",
    "OnBest": "hfl_checkpoint",
    "OnSignal": "hfl_checkpoint",
    "PackageOrigin": "hfl_metadata",
    "PendingCheckpoint": "hfl_checkpoint",
    "PermissionDeniedError": "hfl_core",
    "Permissions": "hfl_repo",
    "PlatformInfo": "hfl_metadata",
    "PreemptionGuard": "hfl_state",
    "Problem": "hfl_checkpoint",
    "Profile": "hfl_auth",
    "ProfileNotFoundError": "hfl_auth",
    "Progress": "hfl_core",
    "ProgressTask": "hfl_core",
    "ProgressUpdate": "hfl_core",
    "PromotionReport": "hfl_checkpoint",
    "PublishReport": "hfl_checkpoint",
    "Published": "hfl_registry",
    "PublishedModel": "hfl_registry",
    "PullRequest": "hfl_repo",
    "PythonInfo": "hfl_metadata",
    "Quantization": "hfl_registry",
    "QuantizedMergeError": "hfl_registry",
    "RankFailedError": "hfl_checkpoint",
    "RankLostError": "hfl_checkpoint",
    "RateLimitError": "hfl_core",
    "ReclaimReport": "hfl_repo",
    "Ref": "hfl_repo",
    "RefExistsError": "hfl_repo",
    "RefUsage": "hfl_repo",
    "Registration": "hfl_registry",
    "RegistrationConflictError": "hfl_registry",
    "RemoteFile": "hfl_repo",
    "RepoArchivedError": "hfl_repo",
    "RepoExistsError": "hfl_repo",
    "RepoInfo": "hfl_repo",
    "RepoManager": "hfl_repo",
    "RepoNotFoundError": "hfl_repo",
    "RepoTree": "hfl_repo",
    "RequestLog": "hfl_localhub",
    "RequestRecord": "hfl_localhub",
    "RestoreReport": "hfl_checkpoint",
    "ResumableLoader": "hfl_state",
    "RetryPolicy": "hfl_core",
    "RevisionNotFoundError": "hfl_repo",
    "RngState": "hfl_state",
    "RoundTripError": "hfl_registry",
    "RowChanges": "hfl_datasets",
    "RowCountError": "hfl_datasets",
    "RunClock": "hfl_metadata",
    "RunMetadata": "hfl_metadata",
    "RunOverview": "hfl_checkpoint",
    "SaveContext": "hfl_checkpoint",
    "SavePolicy": "hfl_checkpoint",
    "SaveSkippedError": "hfl_checkpoint",
    "SchemaMismatchError": "hfl_datasets",
    "Settings": "hfl_core",
    "ShuffleBuffer": "hfl_state",
    "SnapshotChangedError": "hfl_checkpoint",
    "Source": "hfl_datasets",
    "SourceNotFoundError": "hfl_datasets",
    "SourceReport": "hfl_auth",
    "Span": "hfl_core",
    "SplitDiff": "hfl_datasets",
    "SplitNotFoundError": "hfl_datasets",
    "SplitSource": "hfl_datasets",
    "Stage": "hfl_registry",
    "StageMove": "hfl_registry",
    "StageNotFoundError": "hfl_registry",
    "StateMismatchError": "hfl_checkpoint",
    "StorageReport": "hfl_repo",
    "StoredFile": "hfl_repo",
    "SubmoduleInfo": "hfl_metadata",
    "TimeSummary": "hfl_core",
    "Timer": "hfl_core",
    "TokenNotFoundError": "hfl_auth",
    "TrainingState": "hfl_state",
    "TransferReport": "hfl_repo",
    "TransferTimeoutError": "hfl_repo",
    "UnknownTypeError": "hfl_checkpoint",
    "UnpinnedBaseError": "hfl_registry",
    "UnportableCodeError": "hfl_registry",
    "UnreadableDataError": "hfl_datasets",
    "UnsafeUploadError": "hfl_repo",
    "UnsupportedFormatError": "hfl_checkpoint",
    "UnsupportedFrameworkError": "hfl_integrations",
    "UnsupportedSourceError": "hfl_datasets",
    "UntrustedPickleError": "hfl_checkpoint",
    "UploadConflictError": "hfl_repo",
    "UploadReport": "hfl_datasets",
    "ValidationError": "hfl_core",
    "ValidationReport": "hfl_datasets",
    "VerifyReport": "hfl_checkpoint",
    "VisibilityMismatchError": "hfl_repo",
    "Vote": "hfl_checkpoint",
    "WorldSizeError": "hfl_checkpoint",
    "WrongAccountError": "hfl_auth",
    "WrongEndpointError": "hfl_auth",
    "capture": "hfl_metadata",
    "check_splits": "hfl_datasets",
    "clean_token": "hfl_auth",
    "configure_logging": "hfl_core",
    "create_splits": "hfl_datasets",
    "export_checkpoint": "hfl_checkpoint",
    "export_for_accelerate": "hfl_integrations",
    "export_for_lightning": "hfl_integrations",
    "export_for_trainer": "hfl_integrations",
    "find_runs": "hfl_checkpoint",
    "get_logger": "hfl_core",
    "import_checkpoint": "hfl_checkpoint",
    "keep_from": "hfl_checkpoint",
    "load_expectations": "hfl_datasets",
    "load_lightning_model": "hfl_integrations",
    "load_settings": "hfl_core",
    "log_context": "hfl_core",
    "log_fields": "hfl_core",
    "make_card": "hfl_registry",
    "mask_token": "hfl_auth",
    "merge_adapters": "hfl_registry",
    "open_configs": "hfl_datasets",
    "open_source": "hfl_datasets",
    "plan_merge": "hfl_registry",
    "quantization_of": "hfl_registry",
    "read_metadata": "hfl_metadata",
    "redact": "hfl_core",
    "register_codec": "hfl_checkpoint",
    "rename_splits": "hfl_datasets",
    "run_overview": "hfl_checkpoint",
    "set_log_context": "hfl_core",
    "validate_dataset": "hfl_datasets",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
