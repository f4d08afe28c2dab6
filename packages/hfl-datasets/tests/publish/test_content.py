from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pytest

from hfl_core.errors import ValidationError
from hfl_datasets._changes import compare_rows
from hfl_datasets._content import ContentHash
from hfl_datasets._row_hashes import row_hashes

COLUMNS = {
    "int": pa.array([1, None, 3, -4, 5, 6], pa.int32()),
    "float": pa.array([1.5, float("nan"), None, -0.0, 2.0, 3.0]),
    "bool": pa.array([True, None, False, True, True, False]),
    "text": pa.array(["a", "", None, "dé", "e", "f" * 100]),
    "bytes": pa.array([b"a", None, b"\0", b"", b"x", b"y"]),
    "list": pa.array([[1, 2], None, [], [None, 3], [4], [5, 6, 7]]),
    "nested": pa.array([[["a"], []], None, [], [None], [["b", None]], [["c"]]]),
    "record": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}] * 2),
    "records": pa.array([[{"a": 1}], None, [], [{"a": None}, None], [{"a": 2}], []]),
    "fixed": pa.array([[1, 2], None, [3, 4], [5, None], [6, 7], [8, 9]], pa.list_(pa.int8(), 2)),
    "category": pa.array(["a", None, "b", "a", "b", "a"]).dictionary_encode(),
    "time": pa.array([dt.datetime(2026, 1, n, tzinfo=dt.timezone.utc) for n in range(1, 7)]),
    "decimal": pa.array([decimal.Decimal("1.50"), None, *[decimal.Decimal("2.25")] * 4]),
    "map": pa.array([[("k", 1)], None, [], [("l", 2)], [], []], pa.map_(pa.string(), pa.int64())),
    "null": pa.nulls(6),
}
TABLE = pa.table(COLUMNS)


def digest(table, size=None) -> str:
    content = ContentHash(table.schema)
    for batch in table.to_batches(max_chunksize=size):
        content.update(batch)
    return content.hexdigest()


def hashes(table, size=None):
    return np.concatenate([row_hashes(batch) for batch in table.to_batches(max_chunksize=size)])


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("name", COLUMNS)
def test_how_rows_are_cut_does_not_count(name, size) -> None:
    table = TABLE.select([name])
    assert digest(table, size) == digest(table)
    assert (hashes(table, size) == hashes(table)).all()


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "null"])
def test_each_value_and_its_place_counts(name) -> None:
    table = TABLE.select([name])
    # Rows 0 and 2 differ in every column.
    swapped = table.take([2, 1, 0, 3, 4, 5])
    assert digest(swapped) != digest(table)
    assert set(hashes(swapped)) == set(hashes(table))
    assert hashes(table)[0] != hashes(table)[2]
    nothing = pa.table({name: pa.nulls(6, table.schema.field(0).type)})
    assert digest(nothing) != digest(table)


def test_where_one_text_ends_and_the_next_begins_counts() -> None:
    assert digest(pa.table({"x": ["ab", "c"]})) != digest(pa.table({"x": ["a", "bc"]}))
    lists = [[["a", "b"], ["c"]], [["a"], ["b", "c"]]]
    assert digest(pa.table({"x": lists[0]})) != digest(pa.table({"x": lists[1]}))
    assert digest(pa.table({"x": [None, 0]})) != digest(pa.table({"x": [0, None]}))


def test_what_is_behind_a_null_does_not_count() -> None:
    hidden = pa.Array.from_buffers(
        pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([1, 77]).buffers()[1]]
    )
    assert hidden.to_pylist() == [1, None]
    one, other = pa.table({"x": hidden}), pa.table({"x": [1, None]})
    assert digest(one) == digest(other)
    assert (hashes(one) == hashes(other)).all()


def test_the_name_of_a_column_counts_and_the_order_of_columns_does_not() -> None:
    one = pa.record_batch({"a": [1], "b": [2]})
    assert row_hashes(one) == row_hashes(pa.record_batch({"b": [2], "a": [1]}))
    assert row_hashes(one) != row_hashes(pa.record_batch({"a": [2], "b": [1]}))
    assert row_hashes(one, ["a"]) == row_hashes(pa.record_batch({"a": [1], "b": [9]}), ["a"])


def batches(**columns):
    return [pa.record_batch(columns)]


def test_rows_that_are_there_twice_count_twice() -> None:
    found = compare_rows(batches(x=[1, 1, 2]), batches(x=[1, 2, 2, 3]))
    assert (found.before, found.after, found.added, found.removed) == (3, 4, 2, 1)


def test_a_key_that_two_rows_have_is_no_key() -> None:
    with pytest.raises(ValidationError, match="the same x"):
        compare_rows(batches(x=[1, 1]), batches(x=[1]), key=["x"])


def test_rows_of_files_that_did_not_change_are_counted_and_not_read() -> None:
    found = compare_rows([], batches(x=[1]), same_rows=10)
    assert (found.before, found.after, found.added, found.removed) == (10, 11, 1, 0)
