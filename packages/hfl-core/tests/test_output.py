from __future__ import annotations

import csv
import datetime as dt
import enum
import io
import json
import math
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hfl_core._jsonable import to_jsonable
from hfl_core.cli import Output, human_bytes

ROWS: list[dict[str, Any]] = [
    {
        "step": 500,
        "loss": 0.123456789,
        "when": dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc),
        "ok": True,
    },
    {"step": 1500, "loss": None, "tags": ["a", "b"], "ok": False},
]
COLUMNS = {"step": "Step", "loss": "Loss", "ok": "OK"}


class Mode(enum.Enum):
    MIN = "min"


@dataclass(frozen=True)
class Point:
    x: int
    where: Path


class Scalar:
    """Looks like a 0-d array of numpy or torch."""

    shape = ()

    def item(self) -> float:
        return 1.5


class Odd:
    def __str__(self) -> str:
        return "odd"


def test_a_table_is_aligned_and_numbers_stand_right(capsys: pytest.CaptureFixture[str]):
    Output().rows(ROWS, COLUMNS)
    assert capsys.readouterr().out.splitlines() == [
        "Step  Loss      OK",
        " 500  0.123457  yes",
        "1500  -         no",
    ]


def test_a_table_may_show_a_value_its_own_way(capsys: pytest.CaptureFixture[str]):
    Output().rows([{"size": 2048}], {"size": "Size"}, show={"size": human_bytes})
    assert capsys.readouterr().out == "   Size\n  2 KiB\n" or capsys.readouterr().out == ""
    Output("json").rows([{"size": 2048}], {"size": "Size"}, show={"size": human_bytes})
    assert json.loads(capsys.readouterr().out) == [{"size": 2048}]


def test_wide_characters_take_two_columns(capsys: pytest.CaptureFixture[str]):
    Output().rows([{"a": "日本", "b": "x"}, {"a": "abcd", "b": "y"}], {"a": "A", "b": "B"})
    assert capsys.readouterr().out.splitlines()[1:] == ["日本  x", "abcd  y"]


def test_a_table_cannot_be_rewritten_by_its_data(capsys: pytest.CaptureFixture[str]):
    Output().rows([{"a": "x\x1b[2Jy\nz\u202e"}], {"a": "A\x1b[2J"})
    out = capsys.readouterr().out
    assert out == "A [2J\nx [2Jy z\n"


def test_an_empty_table_shows_headers_or_a_note(capsys: pytest.CaptureFixture[str]):
    Output().rows([], COLUMNS)
    assert capsys.readouterr().out == "Step  Loss  OK\n"
    Output().rows([], COLUMNS, empty="Nothing there.")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Nothing there.\n")


def test_json_has_all_keys_in_every_object(capsys: pytest.CaptureFixture[str]):
    Output("json").rows(ROWS, COLUMNS)
    rows = json.loads(capsys.readouterr().out)
    assert [list(row) for row in rows] == [["step", "loss", "ok", "when", "tags"]] * 2
    assert rows[0]["when"] == "2024-05-01T12:00:00+00:00"
    assert rows[1]["loss"] is None


def test_yaml_says_the_same_as_json(capsys: pytest.CaptureFixture[str]):
    Output("json").rows(ROWS, COLUMNS)
    from_json = json.loads(capsys.readouterr().out)
    Output("yaml").rows(ROWS, COLUMNS)
    assert yaml.safe_load(capsys.readouterr().out) == from_json


def test_csv_has_all_keys_and_one_line_per_row(capsys: pytest.CaptureFixture[str]):
    Output("csv").rows(ROWS, COLUMNS)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == {
        "step": "500",
        "loss": "0.123456789",
        "ok": "true",
        "when": "2024-05-01T12:00:00+00:00",
        "tags": "",
    }
    assert rows[1]["tags"] == '["a", "b"]'


@pytest.mark.parametrize(
    ("format_", "expected"), [("json", "[]\n"), ("yaml", "[]\n"), ("csv", "step,loss,ok\n")]
)
def test_an_empty_list_is_an_empty_document(
    format_: Any, expected: str, capsys: pytest.CaptureFixture[str]
):
    Output(format_).rows([], COLUMNS, empty="Nothing there.")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (expected, "")


def test_a_record_in_every_format(capsys: pytest.CaptureFixture[str]):
    record = {"step": 5, "point": Point(1, Path("a/b")), "note": None}
    plain = {"step": 5, "point": {"x": 1, "where": "a/b"}, "note": None}
    Output().record(record)
    assert capsys.readouterr().out.splitlines() == [
        "step   5",
        'point  {"x": 1, "where": "a/b"}',
        "note   -",
    ]
    Output("json").record(record)
    assert json.loads(capsys.readouterr().out) == plain
    Output("yaml").record(record)
    assert yaml.safe_load(capsys.readouterr().out) == plain
    Output("csv").record(record)
    assert capsys.readouterr().out == 'step,point,note\n5,"{""x"": 1, ""where"": ""a/b""}",\n'


def test_a_record_may_have_labels_and_its_own_way(capsys: pytest.CaptureFixture[str]):
    Output().record(
        {"size": 1536, "hidden": 1}, labels={"size": "Size"}, show={"size": human_bytes}
    )
    assert capsys.readouterr().out == "Size  1.5 KiB\n"


def test_notes_are_quiet_when_asked(capsys: pytest.CaptureFixture[str]):
    Output(quiet=True).note("psst")
    Output().note("hello")
    assert capsys.readouterr().err == "hello\n"


def test_json_fits_a_narrow_stdout(monkeypatch: pytest.MonkeyPatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    Output("json").record({"name": "日本"})
    assert json.loads(raw.getvalue().decode("ascii")) == {"name": "日本"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_drawn_tables_that_show_markup_as_it_is(
    monkeypatch: pytest.MonkeyPatch, no_color: str
):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setattr("sys.stderr", Terminal())
    import sys

    output = Output()
    output.rows([{"name": "[bold]x[/bold]", "n": 1}], {"name": "Name", "n": "[N]"})
    output.record({"key[0]": "[red]y"})
    output.warn("z")
    shown = sys.stdout.getvalue()  # type: ignore[attr-defined]  # a Terminal
    said = sys.stderr.getvalue()  # type: ignore[attr-defined]  # a Terminal
    for text in ("[bold]x[/bold]", "[N]", "key[0]", "[red]y", "─"):
        assert text in shown
    assert ("\x1b" in shown + said) == (not no_color)
    assert "Warning: " in said


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Mode.MIN, "min"),
        (dt.date(2024, 5, 1), "2024-05-01"),
        (dt.time(1, 2), "01:02:00"),
        (dt.timedelta(minutes=1), 60.0),
        (PurePosixPath("a/b"), "a/b"),
        (b"\x00\xff", "AP8="),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ({3, 1, 2}, [1, 2, 3]),
        ((1, (2,)), [1, [2]]),
        (iter([1]), [1]),
        (OrderedDict({1: 2, Mode.MIN: 3}), {"1": 2, "min": 3}),
        (Scalar(), 1.5),
        (Odd(), "odd"),
        (True, True),
        (Point, str(Point)),
    ],
)
def test_every_value_becomes_plain_json(value: object, expected: object):
    plain = to_jsonable(value)
    assert plain == expected
    assert type(plain) is type(expected)


@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(),
            st.binary(),
            st.datetimes(),
        ),
        lambda inner: st.one_of(
            st.lists(inner),
            st.tuples(inner, inner),
            st.dictionaries(st.one_of(st.text(), st.integers()), inner),
        ),
        max_leaves=10,
    )
)
def test_whatever_is_shown_can_be_read_by_strict_json(value: object):
    def refuse(constant: str) -> object:
        raise AssertionError(constant)

    plain = to_jsonable(value)
    assert json.loads(json.dumps(plain, allow_nan=False), parse_constant=refuse) == plain
    assert to_jsonable(plain) == plain


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1000 * 1024, "1000 KiB"),
        (1536, "1.5 KiB"),
        (3_000_000, "2.86 MiB"),
        (5 * 1024**5, "5 PiB"),
        (3000 * 1024**5, "3000 PiB"),
        (-2048, "-2 KiB"),
    ],
)
def test_sizes_are_written_for_people(size: int, text: str):
    assert human_bytes(size) == text


@given(st.integers(0, 2**60))
def test_a_written_size_is_never_far_off(size: int):
    number, unit = human_bytes(size).split()
    factor = 1024 ** ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].index(unit)
    assert math.isclose(float(number) * factor, size, rel_tol=0.006)
