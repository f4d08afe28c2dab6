"""What a user declares about columns."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pyarrow as pa
import pytest

from hfl_core import ConfigError
from hfl_datasets import Expectation, load_expectations, validate_dataset

TABLE = pa.table(
    {
        "age": [1, 200, None, 50],
        "code": ["a1", "b", "a1", None],
        "day": pa.array([datetime.date(2026, 1, n) for n in range(1, 5)]),
        "ok": [True, False, True, True],
        "score": [0.5, 1.5, None, float("nan")],
    }
)

BROKEN = [
    (Expectation("age", type="float"), "It is int64, not float.", None),
    (Expectation("age", type="int32"), "It is int64, not int32.", None),
    (Expectation("age", not_null=True), "1 value is missing.", 3),
    (Expectation("age", max=150), "1 value is above 150.", 2),
    (Expectation("age", min=10), "1 value is below 10.", 1),
    (Expectation("age", min="ten"), "cannot be compared with 'ten'", 1),
    (Expectation("score", max=1), "1 value is above 1.", 2),
    (Expectation("day", max="2026-01-03"), "1 value is above '2026-01-03'.", 4),
    (Expectation("code", regex="[a-z][0-9]"), "1 value does not match '[a-z][0-9]'.", 2),
    (Expectation("age", regex="[0-9]{1,2}"), "1 value does not match", 2),
    (Expectation("code", unique=True), "1 value occurred before", None),
    (Expectation("code", values=["a1", "c"]), "1 value is none of 'a1', 'c'.", 2),
    (Expectation("age", values=[1, 50]), "1 value is none of 1, 50.", 2),
    (Expectation("age", values=["x"]), "3 values are none of", 1),
    (Expectation("gone"), "There is no column 'gone'.", None),
]

KEPT = [
    Expectation("age", type="int", min=1, max=200),
    Expectation("age", type="int64", unique=True),
    Expectation("code", type="string", values=["a1", "b"]),
    Expectation("day", type="date", min=datetime.date(2026, 1, 1), not_null=True),
    Expectation("ok", type="bool"),
    Expectation("score", type="number", min=0.5),
    Expectation("gone", splits=["test"]),
]


def found(expected: Expectation) -> list:
    report = validate_dataset(TABLE, expectations=[expected], ignore=["nan", "constant-column"])
    return list(report.findings)


@pytest.mark.parametrize("case", range(len(BROKEN)))
def test_a_value_that_breaks_a_promise_is_found_where_it_is(case: int) -> None:
    expected, words, row = BROKEN[case]
    (finding,) = found(expected)
    assert words in finding.message
    assert (finding.rule, finding.severity, finding.column) == (
        "expectation",
        "error",
        expected.column,
    )
    assert finding.number == row


@pytest.mark.parametrize("expected", KEPT)
def test_values_that_keep_it_are_fine(expected: Expectation) -> None:
    assert found(expected) == []


def test_several_broken_promises_about_a_column_are_several_findings() -> None:
    assert len(found(Expectation("age", not_null=True, max=100, min=2))) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"type": "integer"}, "no type"),
        ({"regex": "("}, "pattern"),
        ({"regex": "(?=x)"}, "pattern"),
        ({"min": 2, "max": 1}, "No value lies between"),
        ({"min": 2, "max": "x"}, "do not compare"),
    ],
)
def test_an_expectation_that_makes_no_sense_is_refused(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Expectation("age", **options)


def test_expectations_come_from_files(tmp_path: Path) -> None:
    entries = [{"column": "age", "type": "int", "min": 0}, {"column": "code", "regex": "[a-z]+"}]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    (tmp_path / "a.yaml").write_text(
        "- {column: age, type: int, min: 0}\n- column: code\n  regex: '[a-z]+'\n"
    )
    assert load_expectations(tmp_path / "a.json") == load_expectations(tmp_path / "a.yaml")
    for text, words in (
        ("{", "cannot be read"),
        ("a: 1", "no list"),
        ("- {column: a, kind: b}", "Entry 1 .* has the unknown key 'kind'"),
        ("- {type: int}", "Entry 1 .* has no column"),
    ):
        (tmp_path / "b.yaml").write_text(text)
        with pytest.raises(ConfigError, match=words):
            load_expectations(tmp_path / "b.yaml")
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_expectations(tmp_path / "b.json")
