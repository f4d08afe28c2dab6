from __future__ import annotations

import subprocess
import sys

import hfl_datasets

PUBLIC = {
    "ColumnDrift",
    "DatasetDiff",
    "DatasetManager",
    "DatasetStream",
    "DatasetValidationError",
    "DatasetVersion",
    "Expectation",
    "Finding",
    "RowChanges",
    "RowCountError",
    "SchemaMismatchError",
    "Source",
    "SourceNotFoundError",
    "SplitDiff",
    "SplitNotFoundError",
    "SplitSource",
    "UnreadableDataError",
    "UnsupportedSourceError",
    "UploadReport",
    "ValidationReport",
    "check_splits",
    "create_splits",
    "load_expectations",
    "open_configs",
    "open_source",
    "rename_splits",
    "validate_dataset",
    "__version__",
}


def test_the_public_names_are_exactly_these() -> None:
    assert set(hfl_datasets.__all__) == PUBLIC


def test_every_public_name_can_be_had() -> None:
    for name in PUBLIC:
        assert getattr(hfl_datasets, name) is not None


def test_the_version_is_that_of_the_whole_project() -> None:
    import hfl_core

    assert hfl_datasets.__version__ == hfl_core.__version__


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "datasets", "huggingface_hub", "numpy", "hfl_datasets.errors"]
    code = f"import sys, hfl_datasets; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
