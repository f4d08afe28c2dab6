"""Which checkpoints are meant, where several can be: names, patterns and ranges."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Any, Iterable, List, Sequence

from hfl_checkpoint._find import find, which_of
from hfl_checkpoint.errors import CheckpointNotFoundError
from hfl_core import ConfigError

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint

# Whatever is before the first number decorates: names mostly begin like this.
_RANGE = re.compile(r"(?:steps?[-_ ]?)?(\d*)\.\.(?:steps?[-_ ]?)?(\d*)")


def find_all(
    wanted: Sequence[str],
    checkpoints: Sequence[Checkpoint],
    *,
    directory: str,
    copies: Sequence[Checkpoint] = (),
    **more: Any,
) -> List[Checkpoint]:
    """Find the checkpoints that several texts ask for.

    Args:
        wanted: Each names one as for `hfl_checkpoint._find.find` (digits are a step), or is a pattern for
            names and labels, or a range of steps.
        checkpoints: The run's, oldest first.
        directory: The run's directory, for the message.
        copies: As for `find`.
        **more: As for `find`.

    Returns:
        The checkpoints, each once, oldest first.

    Raises:
        CheckpointNotFoundError: One of the texts finds nothing.
        ConfigError: A range ends before it begins.
    """
    names = {
        item.name
        for text in wanted
        for item in _matching(text, checkpoints, directory=directory, copies=copies, **more)
    }
    return [item for item in (*checkpoints, *copies) if item.name in names]


def _matching(
    text: str, checkpoints: Sequence[Checkpoint], *, directory: str, **more: Any
) -> Iterable[Checkpoint]:
    span = _RANGE.fullmatch(text)
    if span is None and not set("*?[") & set(text):
        return [find(which_of(text), checkpoints, directory=directory, **more)]
    if span is None:
        found = [
            item
            for item in checkpoints
            if any(fnmatch.fnmatchcase(name, text) for name in (item.name, *item.labels))
        ]
    else:
        first, last = (int(end) if end else None for end in span.groups())
        if first is not None and last is not None and last < first:
            raise ConfigError(
                f"The range {text!r} ends before it begins.", hint=f"Write {last}..{first}."
            )
        found = [
            item
            for item in checkpoints
            if (first is None or first <= item.step) and (last is None or item.step <= last)
        ]
    if not found:
        raise CheckpointNotFoundError(
            f"matches {text!r}",
            directory=directory,
            available=[item.name for item in checkpoints],
        )
    return found
