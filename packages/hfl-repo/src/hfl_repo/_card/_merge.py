"""Three sides of a card: what we said last, what the Hub says now, what we want to say."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, Mapping

from hfl_repo._card import _yaml
from hfl_repo._card._edit import REMOVED

__all__ = ["CardOnConflict", "Merged", "merge"]

CardOnConflict = Literal["error", "ours", "theirs"]
_MISSING = object()


@dataclasses.dataclass(frozen=True)
class Merged:
    """The outcome of a merge.

    Attributes:
        changes: Field to its new value, or `REMOVED`, for what has to change on the Hub.
        kept: Fields that stay as somebody left them on the Hub, against what we say.
        conflicts: Fields that both sides changed, each to something else.
    """

    changes: dict[str, Any]
    kept: tuple[str, ...]
    conflicts: tuple[str, ...]


def merge(base: Mapping[str, Any], theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Merged:
    """Merge field by field.

    - A field that is on the Hub as we left it takes our new value.
    - A field that was changed there while we repeat what we said before stays as it is there.
    - Of lists, what either side added is added and what either side took out is taken out.
    - Any other field that both sides changed is a conflict.

    Args:
        base: What we said last.
        theirs: What the Hub says now.
        ours: What we say now; None takes a field away. Fields that are not named stay.

    Returns:
        What to do.
    """
    changes: dict[str, Any] = {}
    kept, conflicts = [], []
    for field, wanted in ours.items():
        said, there = base.get(field, _MISSING), theirs.get(field, _MISSING)
        want = _MISSING if wanted is None else wanted
        if _is_same(there, want):
            continue
        if _is_same(there, said):
            changes[field] = REMOVED if want is _MISSING else want
        elif _is_same(want, said):
            kept.append(field)
        elif _is_list(want) and (_is_list(there) or _is_word(there)):
            merged = _merged_list(said, there, want)
            if not _is_same(merged, there):
                changes[field] = merged
            if not _is_same(merged, want):
                kept.append(field)
        else:
            conflicts.append(field)
    return Merged(changes, tuple(kept), tuple(conflicts))


def _merged_list(said: Any, there: Any, want: Any) -> list[Any]:
    before, now = _as_list(said), _as_list(there)
    taken_out = [item for item in before if item not in want]
    added = [item for item in want if item not in before and item not in now]
    return [item for item in now if item not in taken_out] + added


def _as_list(value: Any) -> list[Any]:
    if value is _MISSING or value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value)


def _is_word(value: Any) -> bool:
    return isinstance(value, (str, int, float)) or value is None


def _is_same(one: Any, other: Any) -> bool:
    if one is _MISSING or other is _MISSING:
        return one is other
    return _yaml.is_same(one, other)
