"""Checkpoints under the names that ModelCheckpoint's ``filename`` makes."""

from __future__ import annotations

import re
from typing import Any, Dict

from hfl_checkpoint import Naming

# What Lightning's names may have, and not every file system.
_UNUSABLE = re.compile(r'[/\\:*?"<>|\[\]\x00-\x1f]+')


class NamedSteps(Naming):
    """Gives each step the name that was decided when its save was asked for.

    A step whose name nobody decided, as one that a save policy asked for, is called by its number.
    """

    def __init__(self) -> None:
        self._names: Dict[int, str] = {}
        super().__init__("step-{step:08d}")

    def decide(self, step: int, name: str) -> None:
        """Decide what a step's checkpoint is called."""
        self._names[step] = name
        for older in sorted(self._names)[:-8]:  # those are committed long since
            del self._names[older]

    def __contains__(self, name: object) -> bool:
        return name in self._names.values()

    def render(self, *, step: int, **fields: Any) -> str:
        """Make a name."""
        return self._names.get(step) or super().render(step=step, **fields)


def as_directory_name(text: str) -> str:
    """Make the name of one directory of what may be a path: ``epoch=1-val/loss=0.5`` is none."""
    return _UNUSABLE.sub("_", text).strip(". ") or "checkpoint"
