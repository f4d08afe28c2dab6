"""Several checkpoints at once, as people name them on a command line."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Dict, List, Sequence

from hfl_checkpoint._find import find
from hfl_checkpoint.errors import CheckpointNotFoundError

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint

_RANGE = re.compile(r"(?:step-)?(?P<first>\d*)\.\.(?:step-)?(?P<last>\d*)")


def choose(
    names: Sequence[str], checkpoints: Sequence[Checkpoint], *, where: str
) -> List[Checkpoint]:
    """Choose checkpoints.

    Args:
        names: Each is what `find` takes, a shell pattern for names, or a range of steps
            (``1000..5000``, ``step-1000..5000``, ``1000..``).
        checkpoints: Those that there are, oldest first.
        where: Where that is, for the message.

    Returns:
        The checkpoints, oldest first, each once.

    Raises:
        CheckpointNotFoundError: Nothing answers to one of the names.
    """
    found: Dict[str, Checkpoint] = {}
    for name in names:
        some = _matching(name, checkpoints)
        if some is None:
            some = [find(int(name) if name.isdigit() else name, checkpoints, directory=where)]
        if not some:
            raise CheckpointNotFoundError(
                f"that matches {name!r}",
                directory=where,
                available=[item.name for item in checkpoints],
            )
        found.update({item.name: item for item in some})
    return [item for item in checkpoints if item.name in found]


def _matching(name: str, checkpoints: Sequence[Checkpoint]) -> List[Checkpoint] | None:
    span = _RANGE.fullmatch(name)
    if span is not None and (span["first"] or span["last"]):
        first, last = int(span["first"] or 0), float(span["last"] or "inf")
        return [item for item in checkpoints if first <= item.step <= last]
    if any(char in name for char in "*?["):
        return [item for item in checkpoints if fnmatch.fnmatchcase(item.name, name)]
    return None
