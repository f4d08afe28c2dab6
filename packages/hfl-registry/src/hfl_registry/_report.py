"""What a validation found."""

from __future__ import annotations

import dataclasses
from typing import Literal, Tuple

from hfl_registry.errors import ModelValidationError, RoundTripError

__all__ = ["Check", "ModelValidationReport"]


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What: ``"load"``, ``"outputs"``, ``"tied weights"`` …
        status: How it went.
        detail: Why it failed or was left out; a number where there is one.
        seconds: How long it took.
    """

    name: str
    status: Literal["passed", "failed", "skipped"]
    detail: str = ""
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class ModelValidationReport:
    """What a validation found.

    Attributes:
        name: The model's class.
        checks: What was looked at, in order.
        files: What would be published.
        requirements: What its code needs from an index, as pip takes it.
        difference: The largest difference of outputs; None where none were compared.
        tolerance: The largest one that passes.
    """

    name: str
    checks: Tuple[Check, ...]
    files: Tuple[str, ...] = ()
    requirements: Tuple[str, ...] = ()
    difference: float | None = None
    tolerance: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.problems

    @property
    def problems(self) -> Tuple[str, ...]:
        """What failed, in a sentence each without a full stop."""
        return tuple(
            f"{check.name}: {check.detail}" for check in self.checks if check.status == "failed"
        )

    def raise_if_failed(self) -> None:
        """Raise if anything failed.

        Raises:
            RoundTripError: It loads, and computes something else.
            ModelValidationError: Anything else; all problems are named.
        """
        failed = [check.name for check in self.checks if check.status == "failed"]
        if failed == ["outputs"] and self.difference is not None:
            raise RoundTripError(self.name, difference=self.difference, tolerance=self.tolerance)
        if failed:
            raise ModelValidationError(self.name, self.problems)
