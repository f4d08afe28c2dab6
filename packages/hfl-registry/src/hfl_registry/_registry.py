"""`ModelRegistry`: models that others load with one call."""

from __future__ import annotations

from hfl_registry._browsing import Browsing
from hfl_registry._lifecycle import Staging
from hfl_registry._merging import Merging
from hfl_registry._promoting import Promoting
from hfl_registry._registering import Registering
from hfl_registry._sending import Published

__all__ = ["ModelRegistry", "Published"]


class ModelRegistry(Registering, Promoting, Merging, Browsing, Staging):
    """Publish models that others load with one call.

    Args:
        profile: The profile to act as; None for what hfl-auth finds.
        endpoint: The Hub's address; None for what hfl-auth finds.

    Example:
        >>> registry = ModelRegistry()
        >>> registry.registrations()
        ()
    """
