"""Publish, version, validate, describe and stream datasets.

Everything starts at `DatasetManager`:

    from hfl_datasets import DatasetManager

    DatasetManager("me/flowers").upload("flowers.csv", version="minor")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_datasets._changes import RowChanges as RowChanges
    from hfl_datasets._manager import DatasetManager as DatasetManager
    from hfl_datasets._sources._model import Source as Source
    from hfl_datasets._sources._model import SplitSource as SplitSource
    from hfl_datasets._sources._open import open_source as open_source
    from hfl_datasets._split_checks import check_splits as check_splits
    from hfl_datasets._splits import create_splits as create_splits
    from hfl_datasets._splits import open_configs as open_configs
    from hfl_datasets._splits import rename_splits as rename_splits
    from hfl_datasets._streaming import DatasetStream as DatasetStream
    from hfl_datasets._upload_report import UploadReport as UploadReport
    from hfl_datasets._validate._check import validate_dataset as validate_dataset
    from hfl_datasets._validate._expectations import Expectation as Expectation
    from hfl_datasets._validate._expectations import load_expectations as load_expectations
    from hfl_datasets._validate._report import Finding as Finding
    from hfl_datasets._validate._report import ValidationReport as ValidationReport
    from hfl_datasets._versions import ColumnDrift as ColumnDrift
    from hfl_datasets._versions import DatasetDiff as DatasetDiff
    from hfl_datasets._versions import DatasetVersion as DatasetVersion
    from hfl_datasets._versions import SplitDiff as SplitDiff
    from hfl_datasets.errors import DatasetValidationError as DatasetValidationError
    from hfl_datasets.errors import RowCountError as RowCountError
    from hfl_datasets.errors import SchemaMismatchError as SchemaMismatchError
    from hfl_datasets.errors import SourceNotFoundError as SourceNotFoundError
    from hfl_datasets.errors import SplitNotFoundError as SplitNotFoundError
    from hfl_datasets.errors import UnreadableDataError as UnreadableDataError
    from hfl_datasets.errors import UnsupportedSourceError as UnsupportedSourceError

_EXPORTS = {
    "ColumnDrift": "._versions",
    "DatasetDiff": "._versions",
    "DatasetManager": "._manager",
    "DatasetStream": "._streaming",
    "DatasetValidationError": ".errors",
    "DatasetVersion": "._versions",
    "Expectation": "._validate._expectations",
    "Finding": "._validate._report",
    "RowChanges": "._changes",
    "RowCountError": ".errors",
    "SchemaMismatchError": ".errors",
    "Source": "._sources._model",
    "SourceNotFoundError": ".errors",
    "SplitDiff": "._versions",
    "SplitNotFoundError": ".errors",
    "SplitSource": "._sources._model",
    "UnreadableDataError": ".errors",
    "UnsupportedSourceError": ".errors",
    "UploadReport": "._upload_report",
    "ValidationReport": "._validate._report",
    "check_splits": "._split_checks",
    "create_splits": "._splits",
    "load_expectations": "._validate._expectations",
    "open_configs": "._splits",
    "open_source": "._sources._open",
    "rename_splits": "._splits",
    "validate_dataset": "._validate._check",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
