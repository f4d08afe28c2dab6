"""The parts that findings rest on: hashes of rows, stores of hashes, reports."""

from __future__ import annotations

import decimal
import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfl_datasets import Finding, ValidationReport
from hfl_datasets._validate._fingerprints import column_hash, fingerprints, normalized
from hfl_datasets._validate._hash_store import HashStore, duplicates, overlap

VALUES = {
    "ints": st.integers(-(2**63), 2**63 - 1),
    "texts": st.text(max_size=40),
    "bytes": st.binary(max_size=40),
    "floats": st.floats(allow_nan=False),
    "bools": st.booleans(),
    "lists": st.lists(st.text(max_size=9), max_size=4),
    "structs": st.fixed_dictionaries(
        {"a": st.none() | st.integers(0, 3), "b": st.text(max_size=3)}
    ),
    "dates": st.dates(),
    "times": st.datetimes().map(lambda moment: moment.replace(fold=0)),  # which Arrow does not know
}


@pytest.mark.parametrize("kind", VALUES)
def test_hashes_are_equal_where_values_are_and_nowhere_else(kind: str) -> None:
    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.none() | VALUES[kind], max_size=30), st.integers(0, 5))
    def check(values, start) -> None:
        try:
            array = pa.array(values)
        except pa.ArrowInvalid:  # a text with half a surrogate pair
            return
        hashes = column_hash(array)
        assert (column_hash(array.slice(start)) == hashes[start:]).all()
        by_value: dict[str, int] = {}
        for value, number in zip(values, hashes.tolist()):
            assert (number == 0) is (value is None)
            key = json.dumps(value, sort_keys=True, default=repr)
            assert by_value.setdefault("0.0" if key == "-0.0" else key, number) == number
        assert len(set(by_value.values())) == len(by_value)

    check()


def test_the_width_of_a_type_does_not_count() -> None:
    for one, other in (
        (pa.array([1, 2], pa.int8()), pa.array([1.0, 2.0])),
        (pa.array([1, 2], pa.uint64()), pa.array([1, 2], pa.float32())),
        (pa.array(["a", "bb"]), pa.array(["a", "bb"], pa.large_string())),
        (pa.array(["a", "bb"]), pa.array(["a", "bb"]).dictionary_encode()),
        (pa.array([[1], [2, 3]]), pa.array([[1], [2, 3]], pa.large_list(pa.int8()))),
        (pa.array([[1, 2]], pa.list_(pa.int64(), 2)), pa.array([[1, 2]])),
    ):
        assert (column_hash(one) == column_hash(other)).all()
    assert column_hash(pa.array([0.5]))[0] != column_hash(pa.array([0]))[0]
    assert column_hash(pa.array([math.nan]))[0] == column_hash(pa.array([-math.nan]))[0]
    assert (
        column_hash(pa.array([decimal.Decimal("1.5")]))[0]
        != column_hash(pa.array([decimal.Decimal("1.6")]))[0]
    )
    assert (column_hash(pa.nulls(2)) == 0).all()
    assert column_hash(pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())))[0]


def test_rows_differ_by_the_columns_that_values_are_in() -> None:
    one = fingerprints(pa.record_batch({"a": [1], "b": [2]}))[0]
    other = fingerprints(pa.record_batch({"a": [2], "b": [1]}))[0]
    assert one[0] != other[0]
    assert fingerprints(pa.record_batch({"b": [2], "a": [1], "c": pa.nulls(1)}))[0][0] == one[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.text("aB9 .,é\u00dfÉ-", max_size=25)), st.integers(0, 3))
def test_normalised_text_holds_letters_and_digits_alone(values, start) -> None:
    def plain(text):
        kept = "".join(mark for mark in text.lower() if mark.isalnum())
        return None if text is None else kept.encode()

    array = pa.array(values, pa.string())
    expected = [None if value is None else plain(value) for value in values]
    assert normalized(array).to_pylist() == expected
    assert normalized(array.slice(start)).to_pylist() == expected[start:]


@pytest.mark.parametrize("limit", [10, 10**6])
def test_stores_find_what_occurs_twice_in_memory_and_on_disk(limit: int, monkeypatch) -> None:
    from hfl_datasets._validate import _hash_store

    monkeypatch.setattr(_hash_store, "_PART", 64)
    dice = np.random.default_rng(0)
    left, right = (dice.integers(0, 2**63, 500, dtype=np.uint64) * np.uint64(2) for _ in range(2))
    left[400] = left[3]
    right[7], right[450] = left[10], left[9]
    one, other = HashStore(limit), HashStore(limit)
    for store, hashes in ((one, left), (other, right)):
        for start in range(0, 500, 37):
            store.add(hashes[start : start + 37])
    assert duplicates(one) == (1, (3, 400))
    assert duplicates(other) == (0, None)
    assert overlap(one, other) == (2, (10, 7))
    assert overlap(HashStore(), other) == (0, None)
    one.close()
    other.close()


def test_a_report_is_json_and_text() -> None:
    findings = (
        Finding(
            "nan", "warning", "2 values are NaN.", "Drop them.", "train", "a.csv", "line", 3, "x", 2
        ),
        Finding("split-name", "error", "No.", "Rename it.", "a-b"),
    )
    report = ValidationReport("data", findings, {"train": 1200}, {"train": {"x": "double"}})
    assert not report.ok
    assert report.errors == findings[1:]
    loaded = json.loads(report.to_json())
    assert loaded["ok"] is False
    assert loaded["findings"][0]["number"] == 3
    assert str(report).splitlines() == [
        "data (train: 1,200 rows): not fit to be published.",
        "  warning nan: a.csv, line 3, column 'x': 2 values are NaN. Drop them.",
        "  error split-name: split 'a-b': No. Rename it.",
    ]
