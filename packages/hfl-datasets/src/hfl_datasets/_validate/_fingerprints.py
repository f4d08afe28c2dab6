"""A number for each row that is equal where the rows are, made by numpy and not by a loop.

A value's hash does not depend on the width of its type: 1, 1.0 and an int8 of 1 are equal, and so are text and large text. A
null, and a column that is not there, add nothing; columns count by their names, in any order. It is 64 bits wide: of a hundred
million different rows, two meet by chance once in three thousand data sets.
"""

from __future__ import annotations

import zlib
from typing import Any, Mapping, Tuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Hashes", "column_hash", "fingerprints", "is_text", "normalized"]

Hashes = Any  # a numpy array of uint64; numpy's own annotations differ between its versions

_U = np.uint64
# Odd constants of splitmix64 and of xxHash, which spread a change of one bit over all.
_A, _B, _C = _U(0x9E3779B97F4A7C15), _U(0xBF58476D1CE4E5B9), _U(0x94D049BB133111EB)
_MASKS = np.array([0xFFFFFFFFFFFFFFFF] + [(1 << (8 * n)) - 1 for n in range(1, 8)], dtype=_U)
_BELOW = np.array([(1 << (8 * n)) - 1 for n in range(8)], dtype=_U)
_ONES = _U(0x0101010101010101)

# White space and punctuation go, letters become small: "The end." and "the  END" are equal then.
_KEPT = frozenset((*range(48, 58), *range(65, 91), *range(97, 123), *range(128, 256)))
_LOWER = bytes(byte + 32 if 65 <= byte < 91 else byte for byte in range(256))
_GONE = bytes(byte for byte in range(256) if byte not in _KEPT)
_IS_KEPT = bytes(byte in _KEPT for byte in range(256))


def fingerprints(
    batch: pa.RecordBatch, columns: Mapping[str, Hashes] | None = None
) -> Tuple[Hashes, Hashes]:
    """Hash every row of a batch, as it is and normalised.

    Args:
        batch: The rows.
        columns: Hashes of columns that were made already.

    Returns:
        Two arrays of uint64, one number for each row: of its values, and of its values with text `normalized`.

    Example:
        >>> one = pa.RecordBatch.from_pydict({"a": [1, 2], "b": ["x", None]})
        >>> other = pa.RecordBatch.from_pydict({"b": ["X!", None], "a": [1.0, 2.0]})
        >>> exact, alike = fingerprints(one)
        >>> (exact == fingerprints(other)[0]).tolist(), (alike == fingerprints(other)[1]).tolist()
        ([False, True], [True, True])
    """
    exact = np.zeros(batch.num_rows, dtype=_U)
    alike = np.zeros(batch.num_rows, dtype=_U)
    has_text = False
    for name, column in zip(batch.schema.names, batch.columns):
        known = None if columns is None else columns.get(name)
        hashes = named(name, column_hash(column) if known is None else known)
        exact += hashes
        if is_text(column.type):
            has_text = True
            alike += named(name, column_hash(normalized(column)))
        else:
            alike += hashes
    return exact, (alike if has_text else exact)


def named(name: str, hashes: Hashes) -> Hashes:
    """Bind hashes to the column that they are of; a null's, which is 0, stays 0."""
    seed = _U((zlib.crc32(name.encode()) << 32 | zlib.adler32(name.encode())) | 1)
    return _mix(hashes * seed)


def column_hash(column: pa.Array) -> Hashes:
    """Hash every value of a column; a null's hash is 0.

    Args:
        column: The values, of any type.

    Returns:
        An array of uint64, one for each value.
    """
    kind = column.type
    if isinstance(column, pa.ExtensionArray):
        return column_hash(column.storage)
    if pa.types.is_null(kind):
        return np.zeros(len(column), dtype=_U)
    if pa.types.is_dictionary(kind):
        return column_hash(column.dictionary_decode())
    hashes = _values_hash(column, kind)
    if column.null_count:
        hashes[np.asarray(column.is_null())] = 0
    return hashes


def _values_hash(column: pa.Array, kind: pa.DataType) -> Hashes:
    if is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _bytes_hash(column, 8 if "large" in str(kind) else 4)
    if pa.types.is_struct(kind):
        total = np.ones(len(column), dtype=_U)
        for index, child in enumerate(column.flatten()):
            total += named(kind.field(index).name, column_hash(child))
        return _mix(total)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        return _list_hash(column)
    if pa.types.is_fixed_size_list(kind):
        return _list_hash(column.cast(pa.list_(kind.value_type)))
    if pa.types.is_floating(kind):
        return _float_hash(column)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        filled = column.fill_null(False if pa.types.is_boolean(kind) else 0)
        return _mix(np.asarray(filled).astype(np.int64).view(_U) + _A)
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        width = pa.int32() if kind.bit_width == 32 else pa.int64()
        return _values_hash(column.cast(width), width)
    return _bytes_hash(pc.cast(column, pa.string()), 4)


def is_text(kind: pa.DataType) -> bool:
    """Say whether a type is text, of either width."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _float_hash(column: pa.Array) -> Hashes:
    values = np.asarray(column.fill_null(0) if column.null_count else column).astype(np.float64)
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
        is_whole = (whole == values) & (np.abs(values) < 2.0**63)
    bits = (values + 0.0).view(_U)
    bits = np.where(np.isnan(values), _U(0x7FF8000000000000), bits)
    return _mix(np.where(is_whole, whole.view(_U), bits ^ _B) + _A)


def _bytes_hash(column: pa.Array, width: int) -> Hashes:
    """Hash strings eight bytes at a time: the words of all of them are hashed at once, then added up for each string."""
    count = len(column)
    if not count:
        return np.zeros(0, dtype=_U)
    _, raw_offsets, raw_data = column.buffers()
    kind = np.int32 if width == 4 else np.int64
    offsets = np.frombuffer(raw_offsets, dtype=kind)[column.offset : column.offset + count + 1]
    offsets = offsets.astype(np.int64)
    first, last = int(offsets[0]), int(offsets[-1])
    data = np.empty(last - first + 8, dtype=np.uint8)
    data[-8:] = 0
    if last > first:
        data[:-8] = np.frombuffer(raw_data, dtype=np.uint8)[first:last]
    return _spans_hash(data, offsets - first)


def _spans_hash(data: Hashes, offsets: Hashes) -> Hashes:
    """Hash the spans of a buffer that has eight bytes more than they need."""
    lengths = np.diff(offsets)
    words = (lengths + 7) >> 3
    ends = np.cumsum(words)
    starts = ends - words
    total = int(ends[-1])
    result = lengths.astype(_U) * _C + _A
    if total:
        index = np.arange(total, dtype=np.int64) - np.repeat(starts, words)
        position = np.repeat(offsets[:-1], words) + (index << 3)
        # A word at every byte: unaligned, which the processors that we know read as fast.
        everywhere = np.ndarray(shape=(len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
        values = everywhere[position]
        filled = np.flatnonzero(words)
        values[ends[filled] - 1] &= _MASKS[lengths[filled] & 7]
        values = _mix(values + (index + 1).astype(_U) * _A)
        result[filled] += np.add.reduceat(values, starts[filled])
    return _mix(result)


def _list_hash(column: pa.Array) -> Hashes:
    offsets = np.asarray(column.offsets).astype(np.int64)
    first, last = int(offsets[0]), int(offsets[-1])
    values = column.values.slice(first, last - first)
    offsets = offsets - first
    lengths = np.diff(offsets)
    result = lengths.astype(_U) * _B + _C
    filled = np.flatnonzero(lengths)
    if len(filled):
        index = np.arange(last - first, dtype=np.int64) - np.repeat(offsets[:-1], lengths)
        children = _mix(column_hash(values) + (index + 1).astype(_U) * _B)
        result[filled] += np.add.reduceat(children, offsets[:-1][filled])
    return _mix(result)


def _mix(values: Hashes) -> Hashes:
    """The finish of splitmix64 (Steele, Lea, Flood 2014), in place; it leaves 0 as 0."""
    values = values ^ (values >> _U(30))
    values *= _B
    values ^= values >> _U(27)
    values *= _C
    values ^= values >> _U(31)
    return values


def normalized(column: pa.Array) -> pa.Array:
    """Take white space and punctuation out of text, and capitals.

    Args:
        column: Text.

    Returns:
        The text that is left, of the same length and with the same nulls, as bytes.

    Example:
        >>> normalized(pa.array(["The end.", "the  END"])).to_pylist()
        [b'theend', b'theend']
    """
    if len(column) and _has_beyond_ascii(column):
        column = pc.utf8_lower(column)
    count = len(column)
    if not count:
        return pa.array([], pa.binary())
    kind = np.int64 if pa.types.is_large_string(column.type) else np.int32
    _, raw_offsets, raw_data = column.buffers()
    offsets = np.frombuffer(raw_offsets, dtype=kind)[column.offset : column.offset + count + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    data = memoryview(raw_data)[first:last].tobytes() if last > first else b""
    # bytes.translate is several times as fast as numpy's indexing by a table.
    new_offsets = _counts_before(data.translate(_IS_KEPT), offsets.astype(np.int64) - first)
    left = data.translate(_LOWER, _GONE)
    array = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), count, [None, pa.py_buffer(new_offsets), pa.py_buffer(left)]
    )
    if not column.null_count:
        return array
    return pc.if_else(column.is_null(), pa.scalar(None, pa.large_binary()), array)


def _counts_before(flags: bytes, offsets: Hashes) -> Hashes:
    """Count the ones that stand before each offset in bytes of 0 and 1, eight bytes at a time."""
    padded = np.zeros(len(flags) // 8 * 8 + 8, dtype=np.uint8)
    padded[: len(flags)] = np.frombuffer(flags, dtype=np.uint8)
    words = padded.view("<u8")
    # A product with ones adds up the eight bytes of a word in the highest.
    before = np.zeros(len(words) + 1, dtype=np.int64)
    np.cumsum(((words * _ONES) >> _U(56)).view(np.int64), out=before[1:])
    at = offsets >> 3
    rest = (words[at] & _BELOW[offsets & 7]) * _ONES >> _U(56)
    counts: Hashes = before[at] + rest.view(np.int64)
    return counts


def _has_beyond_ascii(column: pa.Array) -> bool:
    _, _, raw_data = column.buffers()
    if raw_data is None:
        return False
    return not bytes(memoryview(raw_data)).isascii()
