"""Publish, version, validate, describe and stream datasets.

Today this package holds the errors that working with a dataset can raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_datasets.errors import DatasetValidationError as DatasetValidationError
    from hfl_datasets.errors import RowCountError as RowCountError
    from hfl_datasets.errors import SchemaMismatchError as SchemaMismatchError
    from hfl_datasets.errors import SplitNotFoundError as SplitNotFoundError

_EXPORTS = {
    "DatasetValidationError": ".errors",
    "RowCountError": ".errors",
    "SchemaMismatchError": ".errors",
    "SplitNotFoundError": ".errors",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
