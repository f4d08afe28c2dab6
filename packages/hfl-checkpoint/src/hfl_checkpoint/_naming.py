"""Names of checkpoint directories, from a pattern that cannot give two steps one name."""

from __future__ import annotations

import re
import string
from typing import List

from hfl_core import ConfigError

_FIELDS = ("step", "epoch", "sequence", "run")

# Characters that some file system or shell pattern gives a meaning, and names that are hidden or ours.
_FORBIDDEN = re.compile(r'[/\\:*?"<>|\x00-\x1f]|^\.|^$|[. ]$')

_MAX_LENGTH = 200


class Naming:
    """A pattern for the names of checkpoints.

    Args:
        pattern: A format string with the fields ``step``, ``epoch``, ``sequence`` (the number of the
            commit within its run) and ``run``. ``step`` or ``sequence`` must be in it.

    Raises:
        ConfigError: The pattern is malformed, can give two checkpoints the same name, or makes names
            that a file system does not take.

    Example:
        >>> Naming("step-{step:08d}").render(step=500, epoch=None, sequence=1, run="b5c2")
        'step-00000500'
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        try:
            fields = {field for _, field, _, _ in string.Formatter().parse(pattern) if field}
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"The naming pattern {pattern!r} is malformed: {error}.", hint=_example()
            ) from error
        unknown = sorted(fields - set(_FIELDS))
        if unknown:
            raise ConfigError(
                f"The naming pattern {pattern!r} uses {', '.join(unknown)}; "
                f"there are {', '.join(_FIELDS)}.",
                hint=_example(),
            )
        self._refuse_collisions()

    def render(self, *, step: int, epoch: int | None, sequence: int, run: str) -> str:
        """Make a name.

        Args:
            step: The step.
            epoch: Completed epochs; None counts as 0.
            sequence: The number of the commit within its run.
            run: The run's id; its first six characters are used.
        """
        name = self.pattern.format(step=step, epoch=epoch or 0, sequence=sequence, run=run[:6])
        if _FORBIDDEN.search(name) or len(name) > _MAX_LENGTH:
            raise ConfigError(
                f"The naming pattern {self.pattern!r} makes the name {name!r}, "
                "which file systems do not all take.",
                hint=_example(),
            )
        return name

    def _refuse_collisions(self) -> None:
        """Try the pattern where formats lose digits: neighbours around powers of ten."""
        names: List[str] = []
        for index, step in enumerate(
            {max(0, 10**power + shift) for power in range(13) for shift in (-1, 0, 1)}
        ):
            try:
                names.append(self.render(step=step, epoch=1, sequence=index, run="0" * 32))
            except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
                raise ConfigError(
                    f"The naming pattern {self.pattern!r} is malformed: {error}.", hint=_example()
                ) from error
        if len(set(names)) < len(names):
            raise ConfigError(
                f"The naming pattern {self.pattern!r} can give two checkpoints the same name.",
                hint="Put the whole step or sequence into it. " + _example(),
            )


def _example() -> str:
    return "The default is 'step-{step:08d}'."
