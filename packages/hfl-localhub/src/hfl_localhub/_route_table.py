"""All routes. The first that matches counts, so fixed paths come before patterns."""

from __future__ import annotations

from hfl_localhub import (
    _commit_routes,
    _duplicate,
    _git_http,
    _lfs,
    _lfs_files,
    _listing,
    _preupload,
    _pull_routes,
    _refs,
    _repo_routes,
    _resolve,
    _social,
    _tree_routes,
)
from hfl_localhub._routing import Router

__all__ = ["add_all"]

_MODULES = (
    _repo_routes,
    _social,
    _lfs,
    _git_http,
    _commit_routes,
    _preupload,
    _tree_routes,
    _refs,
    _lfs_files,
    _pull_routes,
    _duplicate,
    _listing,
    _resolve,
)


def add_all(router: Router) -> None:
    """Add every module's routes."""
    for module in _MODULES:
        module.add_routes(router)
