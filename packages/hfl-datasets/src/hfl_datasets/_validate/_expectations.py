"""What a user declares about columns."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Callable, Iterator, List, Mapping, Optional, Sequence, Tuple

import pyarrow as pa
import pyarrow.compute as pc

from hfl_core import ConfigError

__all__ = ["Expectation", "broken", "has_type", "load_expectations"]

_FAMILIES: Mapping[str, Callable[[pa.DataType], bool]] = {
    "int": pa.types.is_integer,
    "float": pa.types.is_floating,
    "number": lambda kind: pa.types.is_integer(kind) or pa.types.is_floating(kind),
    "string": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "bool": pa.types.is_boolean,
    "timestamp": pa.types.is_timestamp,
    "date": pa.types.is_date,
    "list": lambda kind: pa.types.is_list(kind) or pa.types.is_large_list(kind),
    "struct": pa.types.is_struct,
}


@dataclass(frozen=True)
class Expectation:
    """What has to hold for every value of a column.

    Attributes:
        column: The column. It has to be there.
        type: Its type: "int", "float", "number", "string", "bool", "timestamp", "date", "list", "struct", or an Arrow
            type by its name, such as "int64".
        not_null: Whether every row needs a value.
        unique: Whether no value may occur twice within a split.
        min: The smallest value that is allowed.
        max: The largest.
        regex: What the whole text has to match, in the syntax of RE2.
        values: All values that are allowed.
        splits: The splits that it is about; all if empty.

    Raises:
        ConfigError: The type, the range or the pattern makes no sense.

    Example:
        >>> Expectation("age", type="int", not_null=True, min=0, max=150).column
        'age'
    """

    column: str
    type: Optional[str] = None
    not_null: bool = False
    unique: bool = False
    min: Any = None
    max: Any = None
    regex: Optional[str] = None
    values: Sequence[Any] = ()
    splits: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.type is not None and self.type not in _FAMILIES:
            try:
                pa.type_for_alias(self.type)
            except ValueError as error:
                raise ConfigError(
                    f"{self.type!r} is no type.",
                    hint=f"Pass one of {', '.join(_FAMILIES)}, or an Arrow type such as 'int64'.",
                ) from error
        if self.regex is not None:
            try:
                pc.match_substring_regex(pa.array([""]), self.regex)
            except pa.ArrowInvalid as error:
                raise ConfigError(
                    f"The pattern {self.regex!r} for column {self.column!r} is wrong: {error}.",
                    hint="Write it in the syntax of RE2, which has no look-around and no back-references.",
                ) from error
        if self.min is not None and self.max is not None:
            try:
                is_empty = self.min > self.max
            except TypeError as error:
                raise ConfigError(
                    f"The limits {self.min!r} and {self.max!r} do not compare.",
                    hint="Pass two values of one type.",
                ) from error
            if is_empty:
                raise ConfigError(
                    f"No value lies between {self.min!r} and {self.max!r}.", hint="Swap the limits."
                )

    def is_about(self, split: str) -> bool:
        """Say whether it holds for a split."""
        return not self.splits or split in self.splits


def load_expectations(path: str | Path) -> List[Expectation]:
    """Read expectations from a JSON or YAML file: a list of mappings with the attributes of `Expectation`.

    Args:
        path: The file.

    Returns:
        The expectations.

    Raises:
        ConfigError: The file holds something else.
    """
    text = Path(path).read_text(encoding="utf-8")
    known = [item.name for item in fields(Expectation)]
    try:
        entries = json.loads(text) if str(path).endswith(".json") else _yaml(text)
    except ValueError as error:
        raise ConfigError(
            f"{path} cannot be read: {error}.", hint="Write it as JSON or YAML."
        ) from error
    if not isinstance(entries, list) or not all(isinstance(item, dict) for item in entries):
        raise ConfigError(f"{path} holds no list of mappings.", hint=_HINT)
    made = []
    for number, entry in enumerate(entries, 1):
        unknown = sorted(set(entry) - set(known))
        if unknown or "column" not in entry:
            wrong = f"the unknown key {unknown[0]!r}" if unknown else "no column"
            raise ConfigError(
                f"Entry {number} of {path} has {wrong}.", hint=f"The keys are: {', '.join(known)}."
            )
        made.append(Expectation(**entry))
    return made


_HINT = "Write a list such as: [{column: age, type: int, min: 0, not_null: true}]"


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def has_type(kind: pa.DataType, wanted: str) -> bool:
    """Say whether a type is what an expectation names."""
    family = _FAMILIES.get(wanted)
    return (
        bool(family(kind)) if family is not None else bool(kind.equals(pa.type_for_alias(wanted)))
    )


def broken(expected: Expectation, column: pa.Array) -> Iterator[Tuple[str, List[int]]]:
    """Find the values that are not as expected.

    Args:
        expected: What is expected; types and uniqueness are looked at elsewhere, because they are about all rows.
        column: The values.

    Yields:
        What is wrong, in words that follow "n values", and the rows.
    """
    if expected.not_null and column.null_count:
        yield "are missing", _rows(column.is_null())
    for limit, compare, words in (
        (expected.min, pc.less, f"are below {expected.min!r}"),
        (expected.max, pc.greater, f"are above {expected.max!r}"),
    ):
        if limit is None:
            continue
        try:
            yield words, _rows(compare(column, _like(limit, column.type)))
        except (pa.ArrowException, TypeError):
            yield f"cannot be compared with {limit!r}", list(range(min(1, len(column))))
    if expected.regex is not None:
        text = column if _FAMILIES["string"](column.type) else column.cast(pa.string())
        matches = pc.match_substring_regex(text, f"^(?:{expected.regex})$")
        yield f"do not match {expected.regex!r}", _rows(pc.invert(matches))
    if expected.values:
        allowed = _allowed(expected.values, column.type)
        is_known = pc.is_in(column, value_set=allowed)
        unknown = pc.and_(pc.invert(is_known), column.is_valid())
        yield f"are none of {_listed(expected.values)}", _rows(unknown)


def _rows(mask: pa.Array) -> List[int]:
    rows: List[int] = pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist()
    return rows


def _like(limit: Any, kind: pa.DataType) -> pa.Scalar:
    if isinstance(limit, str) and pa.types.is_temporal(kind):
        return pa.scalar(limit).cast(kind)
    return pa.scalar(limit)


def _allowed(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(list(values)).cast(kind)
    except (pa.ArrowException, TypeError):  # none of them can occur
        return pa.array([], kind)


def _listed(values: Sequence[Any]) -> str:
    text = re.sub(r"^\[|\]$", "", repr(list(values)))
    return text if len(text) <= 80 else f"{text[:77]}..."
