"""Making the changes of a restore: all of them, or none, on all processes."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
from typing import Callable, List, Tuple

from hfl_checkpoint._ranks import Alone
from hfl_checkpoint.errors import StateMismatchError
from hfl_core import HflError


# The order of changes: first what may still refuse its state and can be put back, then what was
# compared in full, and at the end what draws nothing and must see no more draws. A model on the meta
# device gets its memory before an optimizer looks on which device the parameters are.
class Order(enum.IntEnum):
    """When a change is made."""

    STATEFUL = 0
    MODEL_WITH_EXTRA = 1
    MODEL_ON_META = 2
    OPTIMIZER = 3
    MODEL = 4
    LAST = 5


@dataclasses.dataclass(frozen=True)
class Change:
    """A change of one live object that is known to fit; `notes` grow while it is made."""

    name: str
    rank: Order
    apply: Callable[[], None]
    undo: Callable[[], None] | None
    notes: List[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Restored:
    """What was restored, in order, and what a person should know about it."""

    names: Tuple[str, ...]
    warnings: Tuple[str, ...]


class Changes:
    """The changes of a restore, all of which are known to fit.

    Models and optimizers were compared in full. Other objects check their state themselves when they
    load it, so they come first, and what they held is put back when one of them refuses, on whichever
    process. What says ``restore_last`` (random number generators) is tried with them, and loaded again
    after everything that may draw.

    The exception is code of the user's own that runs inside a model's or an optimizer's
    ``load_state_dict`` and raises there: an undo would take a copy of all tensors, so the error says
    what may be changed instead.

    Args:
        changes: In the order in which they are to be made.
    """

    def __init__(self, changes: List[Change]) -> None:
        self._changes = changes

    def apply(self, team: Alone) -> Restored:
        """Make them; when one is refused, on whichever process, undo what can be undone.

        Args:
            team: The processes, each of which makes its own.

        Returns:
            The names, in the order in which they were restored, and the warnings.

        Raises:
            StateMismatchError: A component refuses its state.
        """
        changes = self._changes
        first = [change for change in changes if change.rank == Order.STATEFUL]
        tried = [*first, *(change for change in changes if change.rank == Order.LAST)]
        rest = changes[len(first) :]
        done: List[Change] = []
        if team.is_several:
            try:
                team.agree(lambda: _apply(tried, done))
            except BaseException:
                _undo(done)
                raise
            team.agree(lambda: _apply(rest, done))
        else:
            _apply([*tried, *rest], done)
        return Restored(
            tuple(change.name for change in changes),
            tuple(note for change in changes for note in change.notes),
        )


def _undo(done: List[Change]) -> None:
    while done:
        change = done.pop()
        if change.undo is not None:
            with contextlib.suppress(Exception):
                change.undo()


def _apply(changes: List[Change], done: List[Change]) -> None:
    for change in changes:
        try:
            done.append(change)
            change.apply()
        except BaseException as error:
            changed = [item.name for item in done if item.undo is None]
            _undo(done)
            if not isinstance(error, Exception) or (isinstance(error, HflError) and not changed):
                raise
            raise StateMismatchError(
                change.name,
                [f"it refuses the state ({error!r})"],
                hint=(
                    f"{', '.join(changed)} may be changed already: build them anew."
                    if changed
                    else None
                ),
            ) from error
