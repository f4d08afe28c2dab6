"""A split that was converted, in the words of records, messages and cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence

from hfl_datasets._record import SplitRecord
from hfl_datasets.errors import SchemaMismatchError

if TYPE_CHECKING:
    from hfl_datasets._shards import WrittenSplit

__all__ = ["check_same_columns", "columns_of", "ordered", "record_of", "type_name"]


def record_of(split: WrittenSplit, files: Mapping[str, str]) -> SplitRecord:
    """Return what a version says about a split that consists of these files."""
    return SplitRecord(
        split.rows, split.num_bytes, split.content, columns_of(split), files, split.statistics
    )


def columns_of(split: WrittenSplit) -> Dict[str, str]:
    """Return column to type."""
    return {field.name: str(field.type) for field in split.schema}


def check_same_columns(splits: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse splits whose columns or types differ: the library loads all with the features of one."""
    named = list(splits.items())
    for name, columns in named[1:]:
        first_name, first = named[0]
        both = {**first, **columns}
        differences = {
            column: (first.get(column), columns.get(column))
            for column in both
            if first.get(column) != columns.get(column)
        }
        if differences:
            raise SchemaMismatchError(f"split {name!r} and split {first_name!r}", differences)


def ordered(names: Sequence[str]) -> List[str]:
    """Return each name once, where it comes first."""
    return list(dict.fromkeys(names))


def type_name(feature: Any) -> str:
    """Name a feature of the datasets library as people do."""
    kind = type(feature).__name__
    if kind == "Value":
        return str(feature.dtype)
    if kind == "ClassLabel":
        return f"label of {len(feature.names)} classes"
    inner = getattr(feature, "feature", None)
    if inner is not None:
        return f"list of {type_name(inner)}"
    if isinstance(feature, list):
        return f"list of {type_name(feature[0])}"
    if isinstance(feature, dict):
        return f"record of {', '.join(feature)}"
    return kind.lower()
