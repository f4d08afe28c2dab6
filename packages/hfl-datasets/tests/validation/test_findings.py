"""Every rule, on data that breaks it and on data that does not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from hfl_core import ConfigError
from hfl_datasets import Finding, create_splits, validate_dataset
from hfl_datasets._validate._rules import RULES

TABLE = pa.table({"x": list(range(200)), "text": [f"row {n}" for n in range(200)]})


def finding(report, rule: str) -> Finding:
    found = [item for item in report.findings if item.rule == rule]
    assert len(found) == 1, report
    return found[0]


def labelled(values: list[int | None], names: list[str]) -> pa.Table:
    features = datasets.Features(
        {"y": datasets.ClassLabel(names=names), "x": datasets.Value("int64")}
    )
    table = pa.table({"y": pa.array(values, pa.int64()), "x": pa.array(range(len(values)))})
    return table.replace_schema_metadata(features.arrow_schema.metadata)


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


# Rule, files, what the place ends with, column, words of the message, words of the hint.
FILES = {
    "wrong-delimiter": ({"a.csv": "a;b\n1;2\n"}, "a.csv, line 1", None, "by ';'", "delimiter=';'"),
    "ragged-row": (
        {"a.csv": "a,b\n1,2\n1,2,3\n4\n"},
        "a.csv, line 3",
        None,
        "has 3 fields",
        "Quote fields",
    ),
    "unclosed-quote": ({"a.csv": 'a,b\n1,x\n2,"y\n'}, "a.csv, line 3", None, "not closed", "Close"),
    "invalid-utf8": (
        {"a.csv": b"a,b\n1,ok\n2,caf\xe9\n"},
        "a.csv, line 3",
        None,
        "0xe9",
        "encoding=",
    ),
    "duplicate-column": ({"a.csv": "a,a\n1,2\n"}, "a.csv, line 1", "a", "2 times", "Rename"),
    "mixed-types": (
        {"a.json": '[{"a": 1},\n[2], {"a": 3}]'},
        "a.json, line 2",
        None,
        "holds a list",
        "as an object",
    ),
    "unreadable": ({"a.parquet": b"PAR1..."}, "a.parquet", None, "as Parquet", "again"),
    "no-rows": ({"a.csv": ""}, "a.csv", None, "empty", "Write a line"),
    "numbers-as-text": (
        {"a.csv": "n,x\n" + "".join(f"{n},{n}\n" for n in range(40)) + "40,n/k\n"},
        "a.csv, line 42",
        "x",
        "'n/k'",
        "empty",
    ),
    "missing-column": (
        {"a.csv": "x,colour\n1,a\n", "b.csv": "x\n3\n"},
        "b.csv",
        "colour",
        "b.csv has no column",
        "Add it",
    ),
    "extra-column": (
        {"a.csv": "x\n1\n", "b.csv": "x,z\n3,4\n"},
        "b.csv",
        "z",
        "has a column 'z'",
        "Drop it",
    ),
    "number-drift": ({"a.csv": "x\n1\n", "b.csv": "x\n2.5\n"}, "b.csv", "x", "int64 in", "Cast"),
    "type-drift": ({"a.csv": "x\n1\n", "b.csv": "x\nabc\n"}, "b.csv", "x", "and string", "Cast"),
    "nested-drift": (
        {"a.jsonl": '{"x": [1]}', "b.jsonl": '{"x": {"y": 1}}'},
        "b.jsonl",
        "x",
        "list<",
        "Cast",
    ),
    "infinite": (
        {"a.csv": "x\n1.5\ninf\n"},
        "a.csv, line 3",
        "x",
        "1 value is infinite",
        "Replace",
    ),
    "secret": (
        {"a.txt": "fine\nlogin with hf_abcdefghijklmnopqrstuvwx12\n"},
        "a.txt, line 2",
        "text",
        "1 value looks like secrets",
        "revoke",
    ),
    "email": (
        {"a.jsonl": '{"who": ["x", "ask ann.lee@corp.io"]}\n{"who": ["bob@example.org"]}'},
        "a.jsonl, line 1",
        "who",
        "1 value holds e-mail addresses",
        "mask",
    ),
}


@pytest.mark.parametrize("rule", FILES)
def test_a_finding_in_a_file_says_where_and_what_to_do(rule: str, tmp_path: Path) -> None:
    files, place, column, words, hint = FILES[rule]
    found = finding(validate_dataset(write(tmp_path, files)), rule)
    assert found.where.endswith(place)
    assert found.column == column
    assert words in found.message
    assert hint in found.hint
    assert found.split == "train"
    assert found.severity in (RULES[rule].severity, "error")


def picture(kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.effect_noise((40, 40), 50).save(out, kind)
    return out.getvalue()


# Rule, source, options, split, column, words of the message.
OBJECTS: dict[str, tuple[Any, dict, str, str | None, str]] = {
    "split-name": ({"a-b": TABLE}, {}, "a-b", None, "'a-b' holds '-'"),
    "column-name": ([{"a.b": 1}, {"a.b": 2}], {}, "train", "a.b", "holds a dot"),
    "many-columns": (
        pa.table({f"c{n}": [1, 2] for n in range(10_000)}),
        {"ignore": ["constant-column"]},
        "train",
        None,
        "10,000 columns",
    ),
    "nullability": (
        {
            "train": TABLE.slice(0, 9),
            "test": TABLE.slice(9).cast(
                pa.schema([pa.field("x", pa.int64(), False), pa.field("text", pa.string())])
            ),
        },
        {},
        "test",
        "x",
        "may not be null",
    ),
    "label-names": (
        {"train": labelled([0, 1], ["a", "b"]), "test": labelled([1, 0, 1], ["b", "a"])},
        {"ignore": ["split-overlap"]},
        "test",
        "y",
        "in another order",
    ),
    "label-range": (labelled([0, -1, None, 7], ["a", "b"]), {}, "train", "y", "1 value is none of"),
    "unseen-label": (
        {"train": labelled([0, 0, 0], ["a", "b"]), "test": labelled([1, 0, 1, 1], ["a", "b"])},
        {"ignore": ["split-overlap"]},
        "test",
        "y",
        "1 of its 2 labels",
    ),
    "empty-column": ([{"x": 1, "y": None}, {"x": 2, "y": None}], {}, "train", "y", "None of the 2"),
    "constant-column": ([{"x": 1, "y": "a"}, {"x": 2, "y": "a"}], {}, "train", "y", "All 2 rows"),
    "nan": (pa.table({"x": [1.0, float("nan"), None]}), {}, "train", "x", "1 value is NaN"),
    "long-row": ([{"x": "a" * 99}, {"x": "b"}], {"max_row_bytes": 50}, "train", None, "than 50"),
    "duplicate-rows": ([{"x": 1}, {"x": 2}, {"x": 1}], {}, "train", None, "1 row is equal"),
    "near-duplicate-rows": (
        [{"x": "The end."}, {"x": "the  END"}],
        {},
        "train",
        None,
        "1 row is equal to another but",
    ),
    "split-overlap": (
        {"train": TABLE, "test": TABLE.slice(5, 10)},
        {},
        "test",
        None,
        "10 of the 10 rows",
    ),
    "near-split-overlap": (
        {"train": [{"x": "The end."}, {"x": "b"}], "test": [{"x": "the end"}, {"x": "c"}]},
        {},
        "test",
        None,
        "1 more rows",
    ),
    "broken-image": (
        pa.table({"image": [{"bytes": picture("JPEG")[:300], "path": "a.jpg"}, None]}),
        {},
        "train",
        "image",
        "1 image cannot be decoded",
    ),
}


@pytest.mark.parametrize("rule", OBJECTS)
def test_a_finding_in_values_names_split_and_column(rule: str) -> None:
    source, options, split, column, words = OBJECTS[rule]
    found = finding(validate_dataset(source, **options), rule)
    assert (found.split, found.column) == (split, column)
    assert words in found.message
    assert found.hint


def test_every_rule_has_a_fixture() -> None:
    elsewhere = {"missing-metadata", "expectation", "unchecked"}
    by_check_splits = {"group-overlap", "time-overlap", "label-balance"}
    assert {*FILES, *OBJECTS, *elsewhere, *by_check_splits} == set(RULES)


def test_clean_data_is_fit(tmp_path: Path) -> None:
    divided = create_splits(TABLE, {"train": 0.8, "test": 0.2})
    report = validate_dataset(divided)
    assert (report.ok, report.findings) == (True, ())
    assert dict(report.rows) == {"train": 160, "test": 40}
    assert report.columns["test"] == {"x": "int64", "text": "string"}
    assert "nothing was found" in str(report)


def test_what_is_found_gives_nothing_away(tmp_path: Path) -> None:
    secret = "hf_abcdefghijklmnopqrstuvwx12"
    rows = [{"text": f"use {secret} of ann.lee@corp.io"}, {"text": "b"}]
    report = validate_dataset(rows)
    shown = report.to_json() + str(report)
    assert secret not in shown
    assert "ann.lee" not in shown
    assert finding(report, "email").examples == ("a***@corp.io",)


def test_rules_can_refuse_and_be_off() -> None:
    rows = [{"text": "mail ann.lee@corp.io"}, {"text": "b"}]
    assert validate_dataset(rows).ok
    assert not validate_dataset(rows, refuse=["email"]).ok
    assert validate_dataset(rows, ignore=["email"]).findings == ()
    assert validate_dataset(rows, severity={"email": "info"}).findings[0].severity == "info"
    with pytest.raises(ConfigError, match="no rule 'mail'"):
        validate_dataset(rows, refuse=["mail"])
    with pytest.raises(ConfigError, match="'bad' is no severity"):
        validate_dataset(rows, severity={"email": "bad"})


def test_words_that_look_like_tokens_are_none() -> None:
    rows = [
        {"text": text}
        for text in (
            "hf_hub_download and sk-learn",
            "write to nobody@example.com",
            "@decorator in /home/ann/x",
            "the token: bos_token",
            "password: see the manual",
        )
    ]
    assert {item.rule for item in validate_dataset(rows).findings} <= set()


def test_an_overlap_of_a_few_common_rows_is_a_warning() -> None:
    train = pa.table({"x": list(range(1000))})
    test = pa.table({"x": [5, *range(2000, 2400)]})
    found = finding(validate_dataset({"train": train, "test": test}), "split-overlap")
    assert (found.severity, found.count) == ("warning", 1)


def test_overlaps_are_found_across_formats_and_widths(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("x,y\n1,a\n2,b\n3,c\n")
    parquet.write_table(
        pa.table({"y": pa.array(["c", "d"], pa.large_string()), "x": pa.array([3, 9], pa.int8())}),
        tmp_path / "test.parquet",
    )
    found = finding(validate_dataset(tmp_path), "split-overlap")
    assert found.count == 1
    assert found.where.endswith("test.parquet, row 1")
    assert "train.csv, row 3" in found.message


def test_columns_that_are_called_alike_are_pointed_out() -> None:
    report = validate_dataset({"train": [{"colour": 1}, {"colour": 2}], "test": [{"color": 3}]})
    assert "called 'color' there" in finding(report, "missing-column").hint


def test_a_split_may_be_called_by_its_own_case_alone_once() -> None:
    report = validate_dataset({"train": TABLE.slice(0, 5), "Train": TABLE.slice(5, 5)})
    assert "differ in case alone" in finding(report, "split-name").message
    assert report.ok


@pytest.mark.parametrize("name", ["", "all", "a.", "über", "train.2", "x/y", "a b"])
def test_a_split_name_is_judged_as_the_library_does(name: str) -> None:
    import re

    from datasets.naming import _split_re

    is_loadable = re.match(_split_re, name) is not None and name != "all"
    report = validate_dataset({name: TABLE})
    assert report.ok is is_loadable
    if not is_loadable:
        assert "Call it" in finding(report, "split-name").hint


def test_a_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n2\n")
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    (tmp_path / "c.csv").write_text("x\n")
    report = validate_dataset(tmp_path)
    assert report.rows["train"] == 2
    assert [(item.rule, item.severity) for item in report.findings] == [
        ("unreadable", "error"),
        ("no-rows", "warning"),
        ("no-rows", "warning"),
    ]


def test_the_schema_that_was_found_is_not_looked_for_again(tmp_path: Path) -> None:
    from hfl_datasets import open_source

    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4.5\n")
    source = open_source(tmp_path / "a.csv")
    assert validate_dataset(source).ok
    (tmp_path / "a.csv").unlink()
    assert source.splits["train"].schema.names == ["x", "y"]


def test_images_without_a_decoder_are_said_to_be_unchecked(monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    table = pa.table({"image": [{"bytes": b"x", "path": None}, {"bytes": b"y", "path": None}]})
    assert "hfl-datasets[images]" in finding(validate_dataset(table), "unchecked").hint


def test_missing_and_empty_images_are_broken(tmp_path: Path) -> None:
    gone = {"bytes": None, "path": str(tmp_path / "gone.png")}
    bare = {"bytes": None, "path": None}
    fine = {"bytes": picture(), "path": "a.png"}
    noise = {"bytes": b"no image", "path": "b.png"}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array([fine, gone, bare, noise, None], kind)})
    found = finding(validate_dataset(table), "broken-image")
    assert (found.count, found.number) == (3, 2)
    assert "there is no file" in found.message


def test_images_in_a_folder_are_decoded(tmp_path: Path) -> None:
    write(tmp_path, {"cat/1.png": picture(), "dog/2.png": picture()[:500]})
    report = validate_dataset(tmp_path)
    assert finding(report, "broken-image").where.endswith("dog/2.png")


def test_metadata_that_names_no_file_is_found(tmp_path: Path) -> None:
    files = {"1.png": picture(), "2.png": picture(), "metadata.csv": "file_name,n\n1.png,1\n"}
    report = validate_dataset(write(tmp_path, files))
    assert finding(report, "missing-metadata").where.endswith("2.png")


def test_long_rows_are_measured_in_lists_and_structures() -> None:
    table = pa.table(
        {
            "list": [[1] * 1000, [], None, [2]],
            "texts": [["a"], ["b" * 5000, "c"], None, []],
            "struct": [{"t": "x"}, {"t": "x"}, {"t": "y" * 6000}, None],
        }
    )
    found = finding(validate_dataset(table, max_row_bytes=4000), "long-row")
    assert (found.count, found.number) == (3, 1)
