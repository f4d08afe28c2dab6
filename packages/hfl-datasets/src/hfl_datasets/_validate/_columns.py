"""What is looked at in every batch: it runs in a thread of its own, and hands on numbers and a few places."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hfl_datasets._sources._model import Located, Place
from hfl_datasets._validate._expectations import Expectation, broken
from hfl_datasets._validate._features import Features
from hfl_datasets._validate._fingerprints import Hashes, column_hash, fingerprints, is_text
from hfl_datasets._validate._images import broken_images
from hfl_datasets._validate._private import private_values

__all__ = ["BatchFacts", "ColumnFacts", "Hit", "Plan", "look_at"]

LABEL_NAMES = frozenset(("label", "labels", "target", "class", "category", "y"))
MOST_LABELS = 1000


@dataclass(frozen=True)
class Plan:
    """What to look for in a split.

    Attributes:
        features: The columns that are more than their Arrow type.
        expectations: What is declared.
        max_row_bytes: How long a row may be.
        rules: The rules that are off.
        can_decode: Whether images can be looked at.
    """

    features: Features
    expectations: Sequence[Expectation]
    max_row_bytes: int
    off: frozenset[str]
    can_decode: bool


@dataclass(frozen=True)
class Hit:
    """Values of a column that a rule found.

    Attributes:
        rule: The rule.
        column: The column; None for whole rows.
        words: What is wrong, to follow "n values".
        count: How many.
        place: Where the first is.
        example: What it is.
    """

    rule: str
    column: Optional[str]
    words: str
    count: int
    place: Place
    example: Optional[str] = None


@dataclass
class ColumnFacts:
    """What a batch tells about a column.

    Attributes:
        type: Its type here.
        valid: How many values there are.
        hash: The hash of all of them where they are equal, else None; 0 without any.
        labels: The different values of a column of labels.
        hashes: The hash of each value, where uniqueness was asked for.
    """

    type: pa.DataType
    valid: int
    hash: Optional[int]
    labels: Optional[List[Any]] = None
    hashes: Optional[Hashes] = None


@dataclass
class BatchFacts:
    """What a batch tells.

    Attributes:
        rows: How many there are.
        file: The name of its file.
        first_row: How many rows of the file come before.
        exact: A hash for each row.
        alike: The same for rows without case, space and punctuation.
        columns: By name.
        hits: What was found.
    """

    rows: int
    file: str
    first_row: int
    exact: Hashes
    alike: Hashes
    columns: Dict[str, ColumnFacts] = field(default_factory=dict)
    hits: List[Hit] = field(default_factory=list)


def look_at(located: Located, plan: Plan) -> BatchFacts:
    """Look at everything in a batch.

    Args:
        located: The batch.
        plan: What to look for.

    Returns:
        What it tells.
    """
    batch = located.batch
    hashes = {name: column_hash(column) for name, column in zip(batch.schema.names, batch.columns)}
    exact, alike = fingerprints(batch, hashes)
    facts = BatchFacts(batch.num_rows, located.file.name, located.first_row, exact, alike)
    unique = {item.column for item in plan.expectations if item.unique}
    for name, column in zip(batch.schema.names, batch.columns):
        valid = len(column) - column.null_count
        facts.columns[name] = ColumnFacts(
            column.type,
            valid,
            _constant(hashes[name], column) if valid else 0,
            _labels(name, column, plan.features),
            hashes[name][np.asarray(column.is_valid())] if name in unique else None,
        )
        facts.hits.extend(_hits(name, column, located, plan))
    facts.hits.extend(_long_rows(located, plan))
    return facts


def _constant(hashes: Hashes, column: pa.Array) -> Optional[int]:
    if column.null_count:
        hashes = hashes[np.asarray(column.is_valid())]
    first = hashes[0]
    return int(first) if bool((hashes == first).all()) else None


def _labels(name: str, column: pa.Array, features: Features) -> Optional[List[Any]]:
    kind = column.type
    if name not in features.labels and name.lower() not in LABEL_NAMES:
        return None
    if not (pa.types.is_integer(kind) or is_text(kind) or pa.types.is_boolean(kind)):
        return None
    values = pc.unique(column)
    # One more than allowed says that these are no labels.
    return [value for value in values[: MOST_LABELS + 2].to_pylist() if value is not None]


def _hits(name: str, column: pa.Array, located: Located, plan: Plan) -> Iterator[Hit]:
    kind = column.type
    if pa.types.is_floating(kind):
        yield from _not_finite(name, column, located)
    names = plan.features.labels.get(name)
    if names is not None and pa.types.is_integer(kind):
        yield from _out_of_range(name, column, located, len(names))
    is_private = not {"secret", "email"} <= plan.off
    if is_private and (is_text(kind) or _is_list_of_text(kind)):
        for rule, rows, example in private_values(column):
            words = "look like secrets" if rule == "secret" else "hold e-mail addresses"
            yield Hit(rule, name, words, len(rows), located.place(rows[0]), example)
    if name in plan.features.images and plan.can_decode and "broken-image" not in plan.off:
        wrong = list(broken_images(column))
        for row, reason in wrong:
            yield Hit("broken-image", name, reason, 1, located.place(row))
    yield from _unexpected(name, column, located, plan)


def _unexpected(name: str, column: pa.Array, located: Located, plan: Plan) -> Iterator[Hit]:
    for expected in plan.expectations:
        if expected.column == name:
            for words, rows in broken(expected, column):
                if rows:
                    shown = column[rows[0]].as_py()
                    text = None if shown is None else str(shown)
                    yield Hit("expectation", name, words, len(rows), located.place(rows[0]), text)


def _is_list_of_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind)) and is_text(kind.value_type)


def _not_finite(name: str, column: pa.Array, located: Located) -> Iterator[Hit]:
    values = np.asarray(column.fill_null(0) if column.null_count else column)
    finite = np.isfinite(values)
    if bool(finite.all()):
        return
    for rule, mask, words in (
        ("nan", np.isnan(values), "are NaN"),
        ("infinite", np.isinf(values), "are infinite"),
    ):
        rows = np.flatnonzero(mask)
        if len(rows):
            yield Hit(rule, name, words, len(rows), located.place(int(rows[0])))


def _out_of_range(name: str, column: pa.Array, located: Located, count: int) -> Iterator[Hit]:
    # -1 is how the `datasets` library writes "no label".
    wrong = pc.or_(pc.less(column, -1), pc.greater_equal(column, count))
    rows = pc.indices_nonzero(pc.fill_null(wrong, False)).to_pylist()
    if rows:
        words = f"are none of the {count} labels (0 to {count - 1})"
        example = str(column[rows[0]].as_py())
        yield Hit("label-range", name, words, len(rows), located.place(rows[0]), example)


def _long_rows(located: Located, plan: Plan) -> Iterator[Hit]:
    batch = located.batch
    if "long-row" in plan.off or batch.nbytes <= plan.max_row_bytes:
        return
    sizes = np.zeros(batch.num_rows, dtype=np.int64)
    for name, column in zip(batch.schema.names, batch.columns):
        if name not in plan.features.images:
            sizes += _value_bytes(column)
    rows = np.flatnonzero(sizes > plan.max_row_bytes)
    if len(rows):
        yield Hit(
            "long-row",
            None,
            f"are longer than {plan.max_row_bytes:,} bytes",
            len(rows),
            located.place(int(rows[0])),
            f"{int(sizes[rows[0]]):,} bytes",
        )


def _value_bytes(column: pa.Array) -> Any:
    kind = column.type
    if is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return np.asarray(pc.fill_null(pc.binary_length(column), 0)).astype(np.int64)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0)).astype(np.int64)
        inner = _value_bytes(column.flatten())
        if isinstance(inner, int):
            return lengths * inner
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(inner)])
        last = np.cumsum(lengths)
        return ends[last] - ends[last - lengths]
    if pa.types.is_struct(kind):
        return sum(_value_bytes(child) for child in column.flatten())
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return 1


def text_that_is_no_number(column: pa.Array) -> Tuple[int, Optional[int]]:
    """Say how many values of a text column are numbers, and which row is the first that is not.

    Args:
        column: Text.

    Returns:
        How many are numbers, and the row; None if all are.
    """
    is_number = pc.match_substring_regex(column, _NUMBER)
    wrong = pc.indices_nonzero(pc.fill_null(pc.invert(is_number), False))
    count = pc.sum(is_number).as_py() or 0
    return count, (wrong[0].as_py() if len(wrong) else None)


_NUMBER = r"^\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*$"
