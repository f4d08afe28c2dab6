"""Columns and types, compared across files and splits."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

import pyarrow as pa

from hfl_datasets._sources._model import Place, SplitSource
from hfl_datasets._sources._types import merge_types, type_name
from hfl_datasets._validate._features import features_of
from hfl_datasets._validate._report import Collector

__all__ = ["compare_files", "compare_splits"]

# A key that is left out of an object of JSON is the usual way to say that there is no value.
_OPTIONAL = ("json", "jsonl", "generator")


def compare_files(split: SplitSource, schemas: Sequence[pa.Schema], found: Collector) -> None:
    """Compare the files of a split with the first of them.

    Args:
        split: The split.
        schemas: The schema of each of its files; an empty one could not be read.
        found: Takes what differs.
    """
    readable = [(file, schema) for file, schema in zip(split.files, schemas) if len(schema)]
    if len(readable) < 2:
        return
    first, reference = readable[0]
    for file, schema in readable[1:]:
        _compare(
            reference,
            schema,
            found,
            names=(first.name, file.name),
            split=split.name,
            place=Place(file.name),
            is_optional=file.format in _OPTIONAL,
        )


def compare_splits(schemas: Dict[str, pa.Schema], found: Collector) -> None:
    """Compare the splits with the first of them, which is 'train' where there is one.

    Args:
        schemas: The schema of each split.
        found: Takes what differs.
    """
    readable = {name: schema for name, schema in schemas.items() if len(schema)}
    if len(readable) < 2:
        return
    first = "train" if "train" in readable else next(iter(readable))
    for name, schema in readable.items():
        if name != first:
            _compare(
                readable[first],
                schema,
                found,
                names=(f"split {first!r}", f"split {name!r}"),
                split=name,
                place=None,
                is_optional=False,
            )


def _compare(  # two sides, and where a finding belongs
    reference: pa.Schema,
    schema: pa.Schema,
    found: Collector,
    *,
    names: Tuple[str, str],
    split: str,
    place: Optional[Place],
    is_optional: bool,
) -> None:
    one, other = names
    known = {field.name: field for field in reference}
    here = {field.name: field for field in schema}
    mild = "warning" if is_optional else None
    for name in known:
        if name not in here:
            found.add(
                "missing-column",
                f"{_upper(other)} has no column {name!r}; {one} has.",
                _near(name, [item for item in here if item not in known]),
                split=split,
                place=place,
                column=name,
                severity=mild,
            )
    for name, field in here.items():
        if name not in known:
            found.add(
                "extra-column",
                f"{_upper(other)} has a column {name!r}; {one} has not.",
                "Drop it, or add it everywhere.",
                split=split,
                place=place,
                column=name,
                severity=mild,
            )
            continue
        drift = _drift(known[name], field, is_across_splits=place is None)
        if drift is not None:
            rule, words, severity = drift
            found.add(
                rule,
                f"Column {name!r} {words[0]} in {one} and {words[1]} in {other}.",
                (
                    "Cast it to one type everywhere."
                    if rule != "nullability"
                    else "Nothing has to be done."
                ),
                split=split,
                place=place,
                column=name,
                severity=severity,
            )
    _compare_labels(reference, schema, found, names=names, split=split, place=place)


def _drift(
    one: pa.Field, other: pa.Field, *, is_across_splits: bool
) -> Optional[Tuple[str, Tuple[str, str], Optional[str]]]:
    if one.type.equals(other.type):
        if one.nullable == other.nullable:
            return None
        words = tuple(
            "may be null" if item.nullable else "may not be null" for item in (one, other)
        )
        return "nullability", (words[0], words[1]), None
    kinds = (one.type, other.type)
    words2 = (f"is {type_name(one.type)}", type_name(other.type))
    if any(pa.types.is_null(kind) for kind in kinds):
        words2 = (f"is {_or_empty(one.type)}", _or_empty(other.type))
        return "type-drift", words2, "warning"
    if any(pa.types.is_integer(kind) for kind in kinds) and any(
        pa.types.is_floating(kind) for kind in kinds
    ):
        # Within a split, the rows are brought to one type; two splits would be published with two.
        return "number-drift", words2, "error" if is_across_splits else None
    if all(pa.types.is_nested(kind) for kind in kinds):
        return "nested-drift", words2, None
    is_mild = merge_types(*kinds) is not None and not is_across_splits
    return "type-drift", words2, "warning" if is_mild else None


def _or_empty(kind: pa.DataType) -> str:
    return "empty" if pa.types.is_null(kind) else type_name(kind)


def _compare_labels(
    reference: pa.Schema,
    schema: pa.Schema,
    found: Collector,
    *,
    names: Tuple[str, str],
    split: str,
    place: Optional[Place],
) -> None:
    one, other = features_of(reference).labels, features_of(schema).labels
    for name in one:
        if name in schema.names and one[name] != other.get(name):
            here = other.get(name)
            is_reordered = here is not None and sorted(here) == sorted(one[name])
            listed = "no class labels" if here is None else _some(here)
            found.add(
                "label-names",
                f"The labels of {name!r} are {_some(one[name])} in {names[0]} and {listed} in {names[1]}"
                + (
                    ": the same names in another order, so that numbers mean other things."
                    if is_reordered
                    else "."
                ),
                "Give every split the same names in the same order: dataset.cast_column(…, ClassLabel(names=…)).",
                split=split,
                place=place,
                column=name,
            )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"[{shown}, … {len(names)} in all]" if len(names) > 5 else f"[{shown}]"


def _near(name: str, extra: List[str]) -> str:
    import difflib

    alike = difflib.get_close_matches(
        name.lower(), [item.lower() for item in extra], n=1, cutoff=0.7
    )
    if alike:
        match = next(item for item in extra if item.lower() == alike[0])
        return f"Is it the one that is called {match!r} there? Give it one name everywhere."
    return "Add it, or drop it everywhere."


def _upper(text: str) -> str:
    return text if not text.startswith("split ") else f"Split{text[5:]}"
