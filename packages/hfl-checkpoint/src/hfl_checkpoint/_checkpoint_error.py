"""The base of the errors of this package; public in `hfl_checkpoint.errors`."""

from __future__ import annotations

from hfl_core import HflError

__all__ = ["CheckpointError"]


class CheckpointError(HflError):
    """The base of every error of this package."""
