"""Retention as ModelCheckpoint's ``save_top_k`` and ``save_last`` have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, FrozenSet, Mapping, Sequence

from hfl_checkpoint import keep_from
from hfl_core import load_settings

if TYPE_CHECKING:
    from hfl_checkpoint import Checkpoint, KeepPolicy


class KeepAsModelCheckpoint:
    """Keeps what the callback's bookkeeping names, and what another policy keeps.

    The bookkeeping runs ahead: it names a checkpoint when its save begins, and drops another at the same
    moment. What may be deleted is decided when the new one is committed, by what was named for it.

    Args:
        named: Returns the names that the bookkeeping holds now; None stands for all.
        more: A policy that keeps more, or None for the setting ``keep``.
    """

    def __init__(self, named: Callable[[], FrozenSet[str] | None], more: Any = None) -> None:
        self._named = named
        text = load_settings().keep if more is None else more
        self._more: KeepPolicy | None = keep_from(text) if isinstance(text, str) else text
        self._by_step: Dict[int, FrozenSet[str] | None] = {}

    def __repr__(self) -> str:
        more = "" if self._more is None else f" | {self._more!r}"
        return f"save_top_k and save_last{more}"

    def note(self, step: int) -> None:
        """Remember what is named while a step is being saved."""
        self._by_step[step] = self._named()
        for older in sorted(self._by_step)[:-8]:  # those are committed long since
            del self._by_step[older]

    def select(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Choose what the bookkeeping named for the newest one."""
        if not checkpoints:
            return {}
        newest = checkpoints[-1].step
        named = self._by_step[newest] if newest in self._by_step else self._named()
        found: Dict[str, str] = {} if self._more is None else dict(self._more.select(checkpoints))
        for item in checkpoints:
            if named is None or item.name in named:
                found[item.name] = "save_top_k or save_last names it"
        return found
