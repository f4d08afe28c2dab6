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
    from hfl_datasets._streaming import DatasetStream as DatasetStream
    from hfl_datasets._upload_report import UploadReport as UploadReport
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
    "RowChanges": "._changes",
    "RowCountError": ".errors",
    "SchemaMismatchError": ".errors",
    "SourceNotFoundError": ".errors",
    "SplitDiff": "._versions",
    "SplitNotFoundError": ".errors",
    "UnreadableDataError": ".errors",
    "UnsupportedSourceError": ".errors",
    "UploadReport": "._upload_report",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
