"""Publish models that others can load.

A published model is complete: a stranger loads it in a clean process with the ordinary `from_pretrained`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_registry._card import ModelCard as ModelCard
    from hfl_registry._card import make_card as make_card
    from hfl_registry._publishing import Published as Published
    from hfl_registry._registrations import Registration as Registration
    from hfl_registry._registry import ModelRegistry as ModelRegistry
    from hfl_registry._report import Check as Check
    from hfl_registry._report import ValidationReport as ValidationReport
    from hfl_registry.errors import ModelValidationError as ModelValidationError
    from hfl_registry.errors import RegistrationConflictError as RegistrationConflictError
    from hfl_registry.errors import RoundTripError as RoundTripError
    from hfl_registry.errors import UnpinnedBaseError as UnpinnedBaseError
    from hfl_registry.errors import UnportableCodeError as UnportableCodeError

_EXPORTS = {
    "ModelCard": "._card",
    "ModelRegistry": "._registry",
    "Published": "._publishing",
    "Check": "._report",
    "RegistrationConflictError": ".errors",
    "ValidationReport": "._report",
    "Registration": "._registrations",
    "make_card": "._card",
    "ModelValidationError": ".errors",
    "RoundTripError": ".errors",
    "UnpinnedBaseError": ".errors",
    "UnportableCodeError": ".errors",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
