"""A 64-bit number for each row, to find out which rows two versions have in common."""

from __future__ import annotations

from typing import Any, List, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hfl_datasets._content import plain

__all__ = ["row_hashes"]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_NULL = np.uint64(0x5851F42D4C957F2D)


def row_hashes(batch: pa.RecordBatch, columns: Sequence[str] | None = None) -> Any:
    """Hash each row by its values and the names of their columns; the order of columns does not count.

    Args:
        batch: The rows.
        columns: The columns that count; all if None.

    Returns:
        A numpy array of uint64, one for each row.

    Example:
        >>> hashes = row_hashes(pa.record_batch({"x": [1, 2, 1]}))
        >>> bool(hashes[0] == hashes[2]), bool(hashes[0] == hashes[1])
        (True, False)
    """
    names: List[str] = list(batch.schema.names if columns is None else columns)
    total = np.zeros(batch.num_rows, dtype=np.uint64)
    for name in names:
        column = batch.column(batch.schema.get_field_index(name))
        total += _mixed(_hashes(column) ^ _of_bytes(name.encode()))
    return _mixed(total)


def _hashes(array: pa.Array) -> Any:
    array = plain(array)
    found = _of_values(array)
    if array.null_count:
        found = np.where(array.is_null().to_numpy(zero_copy_only=False), _NULL, found)
    return found


def _of_values(array: pa.Array) -> Any:  # one branch for each kind of type
    kind = array.type
    count = len(array)
    if pa.types.is_null(kind):
        return np.full(count, _NULL, dtype=np.uint64)
    if pa.types.is_struct(kind):
        total = np.zeros(count, dtype=np.uint64)
        for index in range(kind.num_fields):
            name = _of_bytes(kind.field(index).name.encode())
            total += _mixed(_hashes(pc.struct_field(array, [index])) ^ name)
        return _mixed(total)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _of_lists(array)
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return _of_texts(array)
    if pa.types.is_boolean(kind):
        return _mixed(array.cast(pa.uint8()).fill_null(0).to_numpy().astype(np.uint64))
    if pa.types.is_primitive(kind):
        return _mixed(_of_numbers(array))
    return np.array([_of_bytes(repr(value).encode()) for value in array.to_pylist()], np.uint64)


def _of_numbers(array: pa.Array) -> Any:
    width = array.type.bit_width // 8
    start = array.offset * width
    raw = memoryview(array.buffers()[1])[start : start + len(array) * width]
    return np.frombuffer(raw, dtype=f"u{width}").astype(np.uint64)


def _of_texts(array: pa.Array) -> Any:
    encoded = pc.dictionary_encode(array)
    binary = encoded.dictionary.cast(pa.large_binary())
    known = np.array([_of_bytes(value) for value in binary.to_pylist()] or [0], dtype=np.uint64)
    return known[encoded.indices.fill_null(0).to_numpy()]


def _of_lists(array: pa.Array) -> Any:
    lengths = pc.list_value_length(array).fill_null(0).to_numpy().astype(np.int64)
    inner = _hashes(array.flatten())
    ends = np.cumsum(lengths)
    starts = ends - lengths
    place = np.arange(len(inner), dtype=np.int64) - np.repeat(starts, lengths)
    spread = np.cumsum(_mixed(inner + place.astype(np.uint64) * _ODD), dtype=np.uint64)
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), spread])
    return _mixed(sums[ends] - sums[starts] + lengths.astype(np.uint64))


def _mixed(values: Any) -> Any:
    """Spread each bit over the whole number (the finalizer of splitmix64)."""
    values = np.asarray(values, dtype=np.uint64) + _ODD
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


def _of_bytes(value: bytes) -> Any:
    import xxhash

    return np.uint64(xxhash.xxh3_64_intdigest(value))
