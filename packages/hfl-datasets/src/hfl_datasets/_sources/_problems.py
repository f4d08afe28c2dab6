"""What readers do with what they cannot read."""

from __future__ import annotations

from typing import Optional

from hfl_datasets._sources._bytes import damaged
from hfl_datasets._sources._model import Place, Problem, Report

__all__ = ["damage", "tell"]


def tell(problem: Problem, report: Optional[Report], cause: Optional[BaseException] = None) -> None:
    """Hand a problem to who collects them, or raise it where nobody does."""
    if report is None:
        raise problem.error() from cause
    report(problem)


def damage(name: str, error: BaseException) -> Problem:
    """Say that a file's bytes cannot be had."""
    made = damaged(name, error)
    return Problem("unreadable", Place(name), made.reason, made.hint or "")
