"""Publish models that others can load.

A published model is complete: a stranger loads it in a clean process with the ordinary `from_pretrained`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_registry._adapters._merge import Merged as Merged
    from hfl_registry._adapters._merge import MergePlan as MergePlan
    from hfl_registry._adapters._merge import merge_adapters as merge_adapters
    from hfl_registry._adapters._merge import plan_merge as plan_merge
    from hfl_registry._adapters._record import AdapterEntry as AdapterEntry
    from hfl_registry._adapters._record import AdapterRecord as AdapterRecord
    from hfl_registry._adapters._record import BasePin as BasePin
    from hfl_registry._browsing import PublishedModel as PublishedModel
    from hfl_registry._card import ModelCard as ModelCard
    from hfl_registry._card import make_card as make_card
    from hfl_registry._lifecycle import Stage as Stage
    from hfl_registry._lifecycle import StageMove as StageMove
    from hfl_registry._quantization import Quantization as Quantization
    from hfl_registry._quantization import quantization_of as quantization_of
    from hfl_registry._registrations import Registration as Registration
    from hfl_registry._registry import ModelRegistry as ModelRegistry
    from hfl_registry._report import Check as Check
    from hfl_registry._report import ModelValidationReport as ModelValidationReport
    from hfl_registry._sending import Published as Published
    from hfl_registry.errors import AdapterMismatchError as AdapterMismatchError
    from hfl_registry.errors import MergeError as MergeError
    from hfl_registry.errors import ModelValidationError as ModelValidationError
    from hfl_registry.errors import QuantizedMergeError as QuantizedMergeError
    from hfl_registry.errors import RegistrationConflictError as RegistrationConflictError
    from hfl_registry.errors import RoundTripError as RoundTripError
    from hfl_registry.errors import StageNotFoundError as StageNotFoundError
    from hfl_registry.errors import UnpinnedBaseError as UnpinnedBaseError
    from hfl_registry.errors import UnportableCodeError as UnportableCodeError

_EXPORTS = {
    "AdapterEntry": "._adapters._record",
    "AdapterMismatchError": ".errors",
    "AdapterRecord": "._adapters._record",
    "BasePin": "._adapters._record",
    "Check": "._report",
    "MergeError": ".errors",
    "MergePlan": "._adapters._merge",
    "Merged": "._adapters._merge",
    "ModelCard": "._card",
    "ModelRegistry": "._registry",
    "ModelValidationError": ".errors",
    "Published": "._sending",
    "PublishedModel": "._browsing",
    "Quantization": "._quantization",
    "QuantizedMergeError": ".errors",
    "Registration": "._registrations",
    "RegistrationConflictError": ".errors",
    "RoundTripError": ".errors",
    "Stage": "._lifecycle",
    "StageMove": "._lifecycle",
    "StageNotFoundError": ".errors",
    "UnpinnedBaseError": ".errors",
    "UnportableCodeError": ".errors",
    "ModelValidationReport": "._report",
    "make_card": "._card",
    "merge_adapters": "._adapters._merge",
    "plan_merge": "._adapters._merge",
    "quantization_of": "._quantization",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
