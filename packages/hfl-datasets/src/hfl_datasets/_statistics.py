"""Statistics of the columns of a split, computed a batch at a time while it is converted."""

from __future__ import annotations

from typing import Any, Counter, Dict, List, Optional

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hfl_datasets._content import plain
from hfl_datasets._image_size import image_size
from hfl_datasets._numbers import Numbers

__all__ = ["SplitStatistics"]

_MOST_DISTINCT = 5_000
_MOST_FREQUENT = 10
_LONGEST_VALUE = 60
_HEADER = 64 * 1024


class SplitStatistics:
    """Statistics of all columns.

    Args:
        schema: The columns.
        labels: Column to the names of its classes, where it has labels.

    Example:
        >>> statistics = SplitStatistics(pa.schema([("x", pa.int64())]))
        >>> statistics.update(pa.record_batch({"x": [1, 2, 2, None]}))
        >>> found = statistics.figures()["x"]
        >>> found["nulls"], found["distinct"], found["max"]
        (1, 2, 2)
    """

    def __init__(self, schema: pa.Schema, labels: Optional[Dict[str, List[str]]] = None) -> None:
        names = labels or {}
        self._columns = {field.name: _Column(field.type, names.get(field.name)) for field in schema}

    def update(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch."""
        for column, array in zip(self._columns.values(), batch.columns):
            column.update(array)

    def figures(self) -> Dict[str, Dict[str, Any]]:
        """Return column to its figures, as plain data."""
        return {name: column.figures() for name, column in self._columns.items()}


def kind_of(kind: pa.DataType) -> str:
    """Say in a word what a column holds."""
    if isinstance(kind, pa.DictionaryType):
        return kind_of(kind.value_type)
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
        return "text"
    if pa.types.is_temporal(kind):
        return "time"
    if pa.types.is_struct(kind):
        names = {kind.field(index).name for index in range(kind.num_fields)}
        return "file" if names == {"bytes", "path"} else "record"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return "list"
    return "other"


class _Column:
    """The figures of one column so far."""

    def __init__(self, kind: pa.DataType, names: Optional[List[str]]) -> None:
        self._type = str(kind)
        self._kind = "label" if names else kind_of(kind)
        self._names = names
        self._count = 0
        self._nulls = 0
        self._nan = 0
        self._infinite = 0
        self._numbers = Numbers()
        self._lengths = Numbers()
        self._widths = Numbers()
        self._heights = Numbers()
        self._earliest: Any = None
        self._latest: Any = None
        self._frequent: Optional[Counter[Any]] = (
            Counter() if self._kind in ("number", "text", "boolean", "label", "time") else None
        )

    def update(self, array: pa.Array) -> None:
        self._count += len(array)
        self._nulls += array.null_count
        array = plain(array)
        if array.null_count:
            array = array.filter(array.is_valid())
        if not len(array):
            return
        if self._frequent is not None:
            self._tally(array)
        add = getattr(self, f"_add_{self._kind}", None)
        if add is not None:
            add(array)

    def _tally(self, array: pa.Array) -> None:
        """Count values until there are too many different ones to be worth it."""
        counter = self._frequent
        if counter is None:
            return
        # Values that hardly repeat in the first few thousand would only fill the table.
        for piece in (array[:_MOST_DISTINCT], array[_MOST_DISTINCT:]):
            found = pc.value_counts(piece)
            if len(found) + len(counter) > 2 * _MOST_DISTINCT:
                self._frequent = None
                return
            for value, count in zip(found.field(0).to_pylist(), found.field(1).to_pylist()):
                counter[value] += count
            if len(counter) > _MOST_DISTINCT:
                self._frequent = None
                return

    def _add_number(self, array: pa.Array) -> None:
        values = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        finite = np.isfinite(values) if pa.types.is_floating(array.type) else None
        if finite is not None and not finite.all():
            missing = int(np.isnan(values).sum())
            self._nan += missing
            self._infinite += int(len(values) - finite.sum()) - missing
            values = values[finite]
        self._numbers.update(values)

    def _add_text(self, array: pa.Array) -> None:
        self._lengths.update(pc.utf8_length(array).to_numpy().astype(np.float64))

    def _add_list(self, array: pa.Array) -> None:
        self._lengths.update(pc.list_value_length(array).to_numpy().astype(np.float64))

    def _add_time(self, array: pa.Array) -> None:
        bounds = pc.min_max(array).as_py()
        low, high = bounds["min"], bounds["max"]
        self._earliest = low if self._earliest is None else min(self._earliest, low)
        self._latest = high if self._latest is None else max(self._latest, high)

    def _add_file(self, array: pa.Array) -> None:
        content = pc.struct_field(array, "bytes").drop_null()
        if not len(content):
            return
        self._lengths.update(pc.binary_length(content).to_numpy().astype(np.float64))
        heads = pc.binary_slice(content, 0, _HEADER)
        sizes = [size for size in map(image_size, heads.to_pylist()) if size is not None]
        if sizes:
            self._widths.update(np.array([size[0] for size in sizes], dtype=np.float64))
            self._heights.update(np.array([size[1] for size in sizes], dtype=np.float64))

    def figures(self) -> Dict[str, Any]:
        found: Dict[str, Any] = {
            "type": self._type,
            "kind": self._kind,
            "count": self._count,
            "nulls": self._nulls,
        }
        if self._frequent is not None:
            found["distinct"] = len(self._frequent)
            found["frequent"] = self._most_frequent(self._frequent)
        for name, value in (("nan", self._nan), ("infinite", self._infinite)):
            if value:
                found[name] = value
        found.update(self._numbers.figures())
        if self._earliest is not None:
            found["min"], found["max"] = str(self._earliest), str(self._latest)
        for name, numbers in (
            ("lengths", self._lengths),
            ("widths", self._widths),
            ("heights", self._heights),
        ):
            if numbers.count:
                found[name] = numbers.figures()
        return found

    def _most_frequent(self, counter: Counter[Any]) -> List[List[Any]]:
        most = len(counter) if self._kind == "label" and len(counter) <= 100 else _MOST_FREQUENT
        ranked = sorted(counter.items(), key=lambda pair: (-pair[1], str(pair[0])))[:most]
        return [[self._shown(value), count] for value, count in ranked]

    def _shown(self, value: Any) -> Any:
        if self._names is not None and isinstance(value, int):
            return self._names[value] if 0 <= value < len(self._names) else str(value)
        if isinstance(value, float) and not np.isfinite(value):
            return str(value)  # JSON knows neither
        if isinstance(value, (bool, int, float)):
            return value
        text = str(value)
        return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE - 1]}…"
