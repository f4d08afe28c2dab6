"""A digest of rows that does not depend on how they are cut into batches, files or row groups."""

from __future__ import annotations

from typing import Dict, List

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hfl_core import new_digest

__all__ = ["ContentHash"]


class ContentHash:
    """A digest over the values of a table, column by column and in the order of the rows.

    The same rows give the same digest whether they come in one batch or many, from Arrow or from Parquet, with
    dictionaries or without; what is behind a null does not count.

    Args:
        schema: The columns.

    Example:
        >>> table = pa.table({"x": [1, 2, None]})
        >>> one, two = ContentHash(table.schema), ContentHash(table.schema)
        >>> one.update(table.to_batches()[0])
        >>> for batch in table.to_batches(max_chunksize=2):
        ...     two.update(batch)
        >>> one.hexdigest() == two.hexdigest()
        True
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._names = list(schema.names)
        self._columns: List[_Values] = [_Values() for _ in self._names]
        self.rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch."""
        self.rows += batch.num_rows
        for values, array in zip(self._columns, batch.columns):
            values.update(array)

    def hexdigest(self) -> str:
        """Return the digest of all rows so far."""
        whole = new_digest()
        for name, values in zip(self._names, self._columns):
            whole.update(f"{name}\0{values.hexdigest()}\0".encode())
        return whole.hexdigest()


class _Values:
    """The values of one column, or of one that is nested in it."""

    def __init__(self) -> None:
        self._rows = 0
        self._nulls = new_digest()
        self._lengths = new_digest()
        self._data = new_digest()
        self._children: Dict[str, _Values] = {}

    def hexdigest(self) -> str:
        own = "/".join(part.hexdigest() for part in (self._nulls, self._lengths, self._data))
        nested = [f"{name}={child.hexdigest()}" for name, child in self._children.items()]
        return ";".join([f"{self._rows}:{own}", *nested])

    def update(self, array: pa.Array) -> None:
        array = plain(array)
        if array.null_count:
            found = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
            self._nulls.update(np.ascontiguousarray(found + self._rows).view(np.uint8))
            if not pa.types.is_struct(array.type):
                array = array.drop_null()
            else:
                array = array.filter(array.is_valid())
            self._rows += len(found)
        self._rows += len(array)
        if len(array):
            self._add(array)

    def _add(self, array: pa.Array) -> None:
        kind = array.type
        if pa.types.is_struct(kind):
            for index in range(kind.num_fields):
                self._child(kind.field(index).name).update(pc.struct_field(array, [index]))
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            self._lengths.update(_bytes(pc.list_value_length(array).cast(pa.int64())))
            self._child("item").update(array.flatten())
        elif pa.types.is_fixed_size_list(kind):
            self._child("item").update(array.flatten())
        elif pa.types.is_large_binary(kind) or pa.types.is_large_string(kind):
            self._lengths.update(_bytes(pc.binary_length(array).cast(pa.int64())))
            self._data.update(_text_bytes(array))
        elif pa.types.is_boolean(kind):
            self._data.update(_bytes(array.cast(pa.uint8())))
        elif pa.types.is_primitive(kind) or pa.types.is_decimal(kind):
            self._data.update(_bytes(array))
        elif not pa.types.is_null(kind):
            for value in array.to_pylist():
                self._data.update(f"{value!r}\0".encode())

    def _child(self, name: str) -> _Values:
        return self._children.setdefault(name, _Values())


def plain(array: pa.Array) -> pa.Array:
    """Take off what only says how values are stored: extensions, dictionaries, short offsets, views."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_string(kind):
        return array.cast(pa.large_string())
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return array.cast(pa.large_binary())
    if str(kind) in ("string_view", "binary_view"):
        return array.cast(pa.large_string() if str(kind) == "string_view" else pa.large_binary())
    return array


def _bytes(array: pa.Array) -> memoryview:
    """Return the bytes of values that all have the same width, without those around the slice."""
    width = array.type.bit_width // 8
    start = array.offset * width
    return memoryview(array.buffers()[1])[start : start + len(array) * width]


def _text_bytes(array: pa.Array) -> memoryview:
    _, offsets, data = array.buffers()
    if data is None:
        return memoryview(b"")
    bounds = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    return memoryview(data)[int(bounds[0]) : int(bounds[-1])]
