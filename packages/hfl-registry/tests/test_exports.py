from __future__ import annotations

import subprocess
import sys

import hfl_registry
from hfl_core import check_exports

PUBLIC = {
    "AdapterEntry",
    "AdapterMismatchError",
    "AdapterRecord",
    "BasePin",
    "Check",
    "MergeError",
    "MergePlan",
    "Merged",
    "ModelCard",
    "ModelRegistry",
    "ModelValidationError",
    "Published",
    "PublishedModel",
    "Quantization",
    "QuantizedMergeError",
    "Registration",
    "RegistrationConflictError",
    "RoundTripError",
    "Stage",
    "StageMove",
    "StageNotFoundError",
    "UnpinnedBaseError",
    "UnportableCodeError",
    "ModelValidationReport",
    "__version__",
    "make_card",
    "merge_adapters",
    "plan_merge",
    "quantization_of",
}


def test_the_public_names_are_exactly_these() -> None:
    assert set(hfl_registry.__all__) == PUBLIC


def test_every_public_name_can_be_had() -> None:
    for name in PUBLIC:
        assert getattr(hfl_registry, name) is not None


def test_exports_type_checker_block_and_modules_agree() -> None:
    assert check_exports("hfl_registry") == []


def test_the_version_is_that_of_the_whole_project() -> None:
    import hfl_core

    assert hfl_registry.__version__ == hfl_core.__version__


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "datasets", "huggingface_hub", "numpy", "hfl_registry.errors"]
    code = f"import sys, hfl_registry; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
