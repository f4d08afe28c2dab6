from __future__ import annotations

import subprocess
import sys

import hfl_checkpoint
from hfl_core._lazy import check_exports


def test_the_public_names_are_exactly_these() -> None:
    assert sorted(hfl_checkpoint.__all__) == [
        "AlreadyPublishingError",
        "AtSteps",
        "BeforeDeadline",
        "Checkpoint",
        "CheckpointDamagedError",
        "CheckpointError",
        "CheckpointExistsError",
        "CheckpointManager",
        "CheckpointNotFoundError",
        "CleanupPlan",
        "Decision",
        "EveryEpochs",
        "EveryMinutes",
        "EverySteps",
        "ImportedCheckpoint",
        "IncompleteModelError",
        "KeepAll",
        "KeepBest",
        "KeepEvery",
        "KeepIf",
        "KeepLast",
        "KeepPolicy",
        "KeepWithin",
        "MissingComponentError",
        "Naming",
        "NoModelError",
        "OnBest",
        "OnSignal",
        "PendingCheckpoint",
        "Problem",
        "PromotionReport",
        "PublishReport",
        "RankFailedError",
        "RankLostError",
        "RestoreReport",
        "RunOverview",
        "SaveContext",
        "SavePolicy",
        "SaveSkippedError",
        "SnapshotChangedError",
        "StateMismatchError",
        "UnknownTypeError",
        "UnsupportedFormatError",
        "UntrustedPickleError",
        "VerifyReport",
        "Vote",
        "WorldSizeError",
        "__version__",
        "export_checkpoint",
        "find_runs",
        "import_checkpoint",
        "keep_from",
        "register_codec",
        "run_overview",
    ]


def test_exports_type_checker_block_and_modules_agree() -> None:
    assert check_exports("hfl_checkpoint") == []


def test_importing_the_package_imports_no_framework() -> None:
    program = (
        "import sys, hfl_checkpoint, hfl_checkpoint.errors; hfl_checkpoint.CheckpointDamagedError; "
        "print(sorted({'torch', 'numpy', 'transformers', 'datasets', 'huggingface_hub'} & {*sys.modules}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, text=True
    )
    assert answer.stdout.strip() == "[]"
