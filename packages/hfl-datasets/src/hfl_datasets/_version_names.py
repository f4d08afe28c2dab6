"""Names of versions: semantic ones, and days."""

from __future__ import annotations

import datetime as dt
import re
from typing import Collection, Optional, Tuple

from hfl_core.errors import ConflictError, ValidationError

__all__ = ["next_version", "order_of", "version_taken"]

_SEMANTIC = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+][0-9A-Za-z.+-]+)?")
_DAY = re.compile(r"(\d{4})[.-](\d{2})[.-](\d{2})(?:\.(\d+))?")
_STEPS = ("major", "minor", "patch")


def next_version(wanted: str, existing: Collection[str], today: dt.date) -> str:
    """Decide what a new version is called.

    Args:
        wanted: ``"major"``, ``"minor"`` or ``"patch"`` for the one after the newest semantic version, ``"date"`` for
            the day, or a name.
        existing: The tags that there are.
        today: The day.

    Returns:
        The name of a tag that does not exist yet.

    Raises:
        ConflictError: There is one of that name.
        ValidationError: The name makes no sense.

    Example:
        >>> next_version("minor", ["1.0.0", "1.2.3"], dt.date(2026, 5, 1))
        '1.3.0'
        >>> next_version("date", ["2026.05.01"], dt.date(2026, 5, 1))
        '2026.05.01.2'
    """
    if wanted == "date":
        day = f"{today:%Y.%m.%d}"
        names = [day, *(f"{day}.{number}" for number in range(2, 10_000))]
        return next(name for name in names if name not in existing)
    if wanted in _STEPS:
        known = [found for found in map(_semantic, existing) if found is not None]
        prefix = "v" if known and all(n.startswith("v") for n in existing if _semantic(n)) else ""
        newest = list(max(known, default=(0, 0, 0)))
        at = _STEPS.index(wanted)
        newest[at:] = [newest[at] + 1, *([0] * (2 - at))]
        return prefix + ".".join(map(str, newest))
    if _semantic(wanted) is None and not _DAY.fullmatch(wanted):
        raise ValidationError(
            f"{wanted!r} is not a version.",
            hint="Use a semantic version (1.2.0), a day (2026.05.01), or major, minor, patch or date.",
        )
    if wanted in existing:
        raise version_taken(wanted)
    return wanted


def version_taken(name: str) -> ConflictError:
    """Make the error for a version whose name is another one's."""
    return ConflictError(
        f"There is a version {name!r} already, and versions stay where they are.",
        hint="Pass another one, or 'patch' for the next one that is free.",
    )


def order_of(name: str) -> Optional[Tuple[int, ...]]:
    """Return what to sort a version by; None where the name is that of none."""
    day = _DAY.fullmatch(name)
    if day is not None:
        return tuple(int(part or 1) for part in day.groups())
    return _semantic(name)


def _semantic(name: str) -> Optional[Tuple[int, ...]]:
    if _DAY.fullmatch(name):
        return None
    found = _SEMANTIC.fullmatch(name)
    return None if found is None else tuple(int(part) for part in found.groups())
