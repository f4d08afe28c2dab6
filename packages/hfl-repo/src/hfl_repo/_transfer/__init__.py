"""Uploads, downloads and differences between a folder and a repository."""

from __future__ import annotations

from hfl_repo._base import RepoBase

__all__ = ["Transfers"]


class Transfers(RepoBase):
    """What `RepoManager` moves between this machine and the Hub."""
