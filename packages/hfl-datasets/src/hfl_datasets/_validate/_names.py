"""The names of splits and columns."""

from __future__ import annotations

import re
from typing import Iterable, Optional

from hfl_datasets._validate._report import Collector

__all__ = ["check_columns", "check_splits", "split_name_problem"]

# datasets.naming._split_re; `\w` knows letters of every script.
_SPLIT = re.compile(r"^\w+(\.\w+)*$")
_MOST_COLUMNS = 1000


def split_name_problem(name: str) -> Optional[str]:
    """Say why the `datasets` library would not load a split of that name; None if it would.

    Example:
        >>> split_name_problem("a-b")
        "'a-b' holds '-'"
        >>> split_name_problem("train") is None
        True
    """
    if not name:
        return "it is empty"
    if name.lower() == "all":
        return f"{name!r} is reserved: it stands for all splits together"
    if _SPLIT.match(name) and not name.endswith("\n"):
        return None
    wrong = next((mark for mark in name if not re.match(r"[\w.]", mark)), None)
    return f"{name!r} holds {wrong!r}" if wrong is not None else f"{name!r} has a misplaced dot"


def better_split_name(name: str) -> str:
    """Make a name that can be loaded of one that cannot."""
    made = re.sub(r"\W+", "_", name).strip("_")
    return f"{made}_rows" if made.lower() in ("", "all") else made


def check_splits(names: Iterable[str], found: Collector) -> None:
    """Look at the names of all splits."""
    seen: dict[str, str] = {}
    for name in names:
        problem = split_name_problem(name)
        if problem is not None:
            found.add(
                "split-name",
                f"The datasets library cannot load a split of this name: {problem}.",
                f"Call it {better_split_name(name)!r}.",
                split=name,
            )
        twin = seen.setdefault(name.lower(), name)
        if twin != name:
            found.add(
                "split-name",
                f"Splits {twin!r} and {name!r} differ in case alone, and not every disk tells them apart.",
                "Rename one.",
                split=name,
                severity="warning",
            )


def check_columns(split: str, names: list[str], found: Collector) -> None:
    """Look at the names of a split's columns."""
    if len(names) > _MOST_COLUMNS:
        found.add(
            "many-columns",
            f"There are {len(names):,} columns; the Hub's viewer shows no more than {_MOST_COLUMNS:,}.",
            "Put columns that belong together into one list.",
            split=split,
        )
    for name in names:
        problem = _column_problem(name)
        if problem is not None:
            found.add(
                "column-name",
                f"The column's name {problem}.",
                "Rename it; letters, digits and underscores work everywhere.",
                split=split,
                column=name,
                severity="error" if not name.strip() else None,
            )


def _column_problem(name: str) -> Optional[str]:
    if not name.strip():
        return "is empty"
    if "." in name:
        return "holds a dot, which Parquet's readers take for a field of a structure"
    if name != name.strip():
        return "begins or ends with white space"
    return "holds a control character" if re.search(r"[\x00-\x1f\x7f]", name) else None
