"""Trainer, Lightning and Accelerate on one checkpoint manager.

Today this package holds the errors that an integration can raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_integrations.errors import CompetingCheckpointsError as CompetingCheckpointsError
    from hfl_integrations.errors import UnsupportedFrameworkError as UnsupportedFrameworkError

_EXPORTS = {
    "CompetingCheckpointsError": ".errors",
    "UnsupportedFrameworkError": ".errors",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
