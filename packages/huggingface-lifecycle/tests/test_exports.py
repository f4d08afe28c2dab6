"""One namespace: every name resolves, and importing it costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hf_lifecycle

NAMES = {
    "hfl_auth": ["AuthManager", "Credential", "Identity"],
    "hfl_checkpoint": [
        "Checkpoint", "CheckpointManager", "CleanupPlan", "EverySteps", "KeepAll", "KeepBest",
        "KeepLast", "RestoreReport", "VerifyReport", "register_codec",
    ],
    "hfl_core": [
        "AuthError", "ConfigError", "ConflictError", "DiskSpaceError", "HflError",
        "IncompatibleStateError", "IntegrityError", "MissingExtraError", "NetworkError",
        "NotFoundError", "PermissionDeniedError", "Progress", "RateLimitError", "RetryPolicy",
        "Settings", "Timer", "ValidationError", "configure_logging", "get_logger",
        "load_settings", "redact",
    ],
    "hfl_integrations": ["LifecycleCallback"],
    "hfl_metadata": ["RunMetadata", "capture"],
    "hfl_repo": [
        "Card", "CardUpdate", "Permissions", "PullRequest", "ReclaimReport", "RepoInfo",
        "RepoManager", "StorageReport",
    ],
    "hfl_state": ["BestMetric", "EarlyStopping", "ResumableLoader", "RngState", "TrainingState"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package, names in NAMES.items() for name in names]
)
def test_a_name_is_the_package_s_own(package, name):
    __import__(package)
    assert getattr(hf_lifecycle, name) is getattr(sys.modules[package], name)


def test_the_exported_names_are_exactly_these():
    names = sorted(name for names in NAMES.values() for name in names)
    assert sorted(hf_lifecycle.__all__) == sorted([*names, "__version__"])
    assert dir(hf_lifecycle) == names


def test_every_error_of_the_core_is_exported():
    from hfl_core import errors

    assert set(errors.__all__) <= set(hf_lifecycle.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hf_lifecycle.nothing  # noqa: B018  # the access is what is tested


@pytest.mark.parametrize("module", ["hf_lifecycle", "hf_lifecycle.cli"])
def test_importing_loads_nothing_heavy(module):
    code = (
        f"import sys, {module}; print([name for name in ('torch', 'transformers', 'datasets',"
        "'huggingface_hub', 'numpy', 'sklearn', 'hfl_checkpoint', 'hfl_state')"
        " if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert loaded.stdout.decode().strip() == "[]"
