"""Publish models that others can load.

Today this package holds the errors that publishing a model can raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_registry._adapters._record import AdapterEntry as AdapterEntry
    from hfl_registry._adapters._record import AdapterRecord as AdapterRecord
    from hfl_registry._adapters._record import BasePin as BasePin
    from hfl_registry.errors import AdapterMismatchError as AdapterMismatchError
    from hfl_registry.errors import MergeError as MergeError
    from hfl_registry.errors import ModelValidationError as ModelValidationError
    from hfl_registry.errors import QuantizedMergeError as QuantizedMergeError
    from hfl_registry.errors import RoundTripError as RoundTripError
    from hfl_registry.errors import StageNotFoundError as StageNotFoundError
    from hfl_registry.errors import UnpinnedBaseError as UnpinnedBaseError
    from hfl_registry.errors import UnportableCodeError as UnportableCodeError

_EXPORTS = {
    "AdapterEntry": "._adapters._record",
    "AdapterMismatchError": ".errors",
    "AdapterRecord": "._adapters._record",
    "BasePin": "._adapters._record",
    "MergeError": ".errors",
    "ModelValidationError": ".errors",
    "QuantizedMergeError": ".errors",
    "RoundTripError": ".errors",
    "StageNotFoundError": ".errors",
    "UnpinnedBaseError": ".errors",
    "UnportableCodeError": ".errors",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
