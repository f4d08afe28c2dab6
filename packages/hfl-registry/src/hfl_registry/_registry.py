"""`ModelRegistry`: models that others load with one call."""

from __future__ import annotations

from hfl_registry._lifecycle import Staging
from hfl_registry._loading import Loading
from hfl_registry._publishing import Published, Publishing
from hfl_registry._registering import Registering

__all__ = ["ModelRegistry", "Published"]


class ModelRegistry(Registering, Publishing, Loading, Staging):
    """Publish models that others load with one call.

    Args:
        profile: The profile to act as; None for what hfl-auth finds.
        endpoint: The Hub's address; None for what hfl-auth finds.

    Example:
        >>> registry = ModelRegistry()
        >>> registry.registrations()
        ()
    """
