"""CSV and JSON: where things are, and what is said about what cannot be read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from hfl_datasets import (
    SourceNotFoundError,
    UnreadableDataError,
    UnsupportedSourceError,
    open_source,
)
from hfl_datasets._sources._blocks import blocks


def split_of(path: Path, text: str | bytes, **options):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_source(path, **options).splits["train"]


def rows_of(split) -> list:
    return [row for batch in split.batches() for row in batch.to_pylist()]


def test_places_are_lines_even_where_fields_hold_line_ends(tmp_path: Path) -> None:
    split = split_of(tmp_path / "a.csv", 'x,y\n1,"one\nline"\n\n2,b\n3,c\n')
    (located,) = split.located()
    assert [str(located.place(row)).rpartition(", ")[2] for row in range(3)] == [
        "line 2",
        "line 5",
        "line 6",
    ]


def test_numbers_that_turn_out_to_be_text_keep_what_was_written(tmp_path: Path) -> None:
    lines = [f"{n},0{n}" for n in range(400_000)]
    split = split_of(tmp_path / "a.csv", "\n".join(["n,code", *lines, "x,07"]) + "\n")
    assert [str(kind) for kind in split.schema.types] == ["string", "int64"]
    found = rows_of(split)
    assert (found[7], found[-1]) == ({"n": "7", "code": 7}, {"n": "x", "code": 7})
    assert len(found) == 400_001


def test_a_column_that_is_empty_at_first_gets_its_type_from_what_comes(tmp_path: Path) -> None:
    body = "".join(f"{n},\n" for n in range(700_000))
    split = split_of(tmp_path / "a.csv", f"n,late\n{body}1,2.5\n")
    assert str(split.schema.field("late").type) == "double"


def test_what_stands_for_no_value(tmp_path: Path) -> None:
    split = split_of(tmp_path / "a.csv", "number,text\n1,NA\nNA,\nnan,None\n4,x\n")
    assert rows_of(split) == [
        {"number": 1, "text": "NA"},
        {"number": None, "text": None},
        {"number": None, "text": "None"},
        {"number": 4, "text": "x"},
    ]


@pytest.mark.parametrize("mark", [";", "|", "\t"])
def test_a_delimiter_can_be_given(mark: str, tmp_path: Path) -> None:
    split = split_of(tmp_path / "a.csv", f"x{mark}y\n1{mark}2\n", delimiter=mark)
    assert rows_of(split) == [{"x": 1, "y": 2}]


def test_a_tsv_file_needs_none(tmp_path: Path) -> None:
    assert rows_of(split_of(tmp_path / "a.tsv", "x\ty\n1\t2\n")) == [{"x": 1, "y": 2}]


def test_a_format_can_be_given(tmp_path: Path) -> None:
    assert rows_of(split_of(tmp_path / "data.log", "x\n1\n", format="csv")) == [{"x": 1}]
    with pytest.raises(UnsupportedSourceError, match="the format 'xls'"):
        open_source(tmp_path / "data.log", format="xls")


BROKEN = {
    "delimiter": ("a.csv", "a;b\n1;2\n", "line 1", r"separated by ';'"),
    "more": ("a.csv", "a,b\n1,2\n1,2,3\n", "line 3", "has 3 fields; the header has 2"),
    "fewer": ("a.csv", 'a,b\n"1\n1",2\n1\n', "line 4", "has 1 fields"),
    "latin": ("a.csv", b"a,b\n1,ok\n2,caf\xe9\n", "line 3", "0xe9 is no UTF-8"),
    "quote": ("a.csv", 'a,b\n1,x\n2,"y\n3,z\n', "line 3", "opened here and not closed"),
    "twice": ("a.csv", "a,b,a\n1,2,3\n", "line 1", "'a' occurs 2 times"),
    "empty": ("a.csv", "", "a.csv", "file is empty"),
    "gzip": ("a.csv.gz", gzip.compress(b"a\n1\n" * 9999)[:-20], "a.csv.gz", "damaged"),
    "no gzip": ("a.csv.gz", b"a\n1\n", "a.csv.gz", "damaged"),
    "no zst": ("a.csv.zst", b"a\n1\n", "a.csv.zst", "damaged"),
    "no xz": ("a.jsonl.xz", b"a\n1\n", "a.jsonl.xz", "damaged"),
    "json list": ("a.json", '[{"a": 1},\n [2]]', "line 2", "holds a list here"),
    "json mixed": (
        "a.json",
        '[{"a": 1},\n\n{"a": "x"}]',
        "line 3",
        "'a' holds a string; it held a number",
    ),
    "json cut": ("a.json", '[{"a": 1},\n{"a": ', "line 2", "no JSON"),
    "json comma": ("a.json", '[{"a": 1}\n{"a": 2}]', "line 2", "where a comma should be"),
    "json object cut": ("a.json", '{"a": [1,\n', "line 2", "no JSON"),
    "json text": ("a.json", "hello", "line 1", "no JSON"),
    "lines list": ("a.jsonl", '{"a": 1}\n[2]\n', "line 2", "holds a list"),
    "lines mixed": (
        "a.jsonl",
        '{"a": [1]}\n{"a": {"b": 1}}\n',
        "line 2",
        "an object; it held a list",
    ),
    "lines cut": ("a.jsonl", '{"a": 1}\n{"a": 2\n', "line 2", "no JSON"),
    "text": ("a.txt", b"fine\n\xff\n", "line 2", "0xff is no UTF-8"),
    "parquet": ("a.parquet", b"PAR1 and no more", "a.parquet", "cannot be read as Parquet"),
    "arrow": ("a.arrow", b"ARROW1 and no more", "a.arrow", "cannot be read as Arrow"),
    "old feather": ("a.feather", b"FEA1 and no more", "a.feather", "Feather version 1"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_said_with_its_place_and_a_way_out(case: str, tmp_path: Path) -> None:
    name, data, place, words = BROKEN[case]
    split = split_of(tmp_path / name, data)
    with pytest.raises(UnreadableDataError, match=words) as caught:
        rows_of(split)
    assert caught.value.place.endswith(place)
    assert caught.value.hint


def test_what_is_not_there_is_said_with_what_is(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("x\n1\n")
    with pytest.raises(SourceNotFoundError, match=r"Beside it there are: real\.csv"):
        open_source(tmp_path / "reel.csv")
    with pytest.raises(FileNotFoundError, match="Its folder does not exist"):
        open_source(tmp_path / "no" / "a.csv")
    with pytest.raises(SourceNotFoundError, match="No file matches"):
        open_source(f"{tmp_path}/*.json")
    (tmp_path / "notes.docx").write_text("x")
    with pytest.raises(SourceNotFoundError, match="no known format"):
        open_source(f"{tmp_path}/*.docx")
    with pytest.raises(UnsupportedSourceError, match="notes.docx"):
        open_source(tmp_path / "notes.docx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceNotFoundError, match="holds no file"):
        open_source(tmp_path / "empty")
    (tmp_path / "bad.zip").write_bytes(b"PK nothing")
    with pytest.raises(UnreadableDataError, match="no zip archive"):
        open_source(tmp_path / "bad.zip")


def test_a_damaged_row_group_is_named(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"x": [f"value {n}" for n in range(3000)]})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=1000, use_dictionary=False)
    second = parquet.ParquetFile(tmp_path / "a.parquet").metadata.row_group(1).column(0)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    start = second.data_page_offset + 60
    data[start : start + 500] = bytes(500)
    split = split_of(tmp_path / "b.parquet", bytes(data))
    with pytest.raises(UnreadableDataError, match="row group 1"):
        rows_of(split)


@pytest.mark.parametrize("size", [5, 7, 64, 1000])
def test_blocks_end_where_records_do_and_lose_nothing(size: int, tmp_path: Path) -> None:
    text = b'a,b\n1,"x\ny\n""z""\n"\n2,5" disk\n3,q\n' * 5
    path = tmp_path / "a.csv"
    path.write_bytes(text)
    with path.open("rb") as stream:
        made = list(blocks(stream, quoted=True, size=size))
    assert b"".join(block.data for block in made) == text
    for block in made:
        before = text[: sum(len(other.data) for other in made if other.line < block.line)]
        assert block.line == before.count(b"\n") + 1


def test_an_array_of_many_objects_is_read_in_pieces(tmp_path: Path) -> None:
    rows = [{"n": n, "text": "é" * (n % 50)} for n in range(20_000)]
    split = split_of(tmp_path / "a.json", json.dumps(rows, ensure_ascii=False))
    assert rows_of(split) == rows
    assert len(list(split.batches())) > 3


def test_one_object_is_one_row_or_columns(tmp_path: Path) -> None:
    assert rows_of(split_of(tmp_path / "a.json", '{"a": 1,\n"b": [1, 2]}')) == [
        {"a": 1, "b": [1, 2]}
    ]
    assert rows_of(split_of(tmp_path / "b.json", '{"a": [1, 2], "b": ["x", "y"]}')) == [
        {"a": 1, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_text_that_looks_like_a_date_stays_text_in_json(tmp_path: Path) -> None:
    rows = [
        {"day": "2026-01-02", "in": {"t": ["2026-01-02T03:04:05Z"]}},
        {"day": "soon", "in": None},
    ]
    split = split_of(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert rows_of(split) == rows


def test_lines_of_text_are_rows(tmp_path: Path) -> None:
    split = split_of(tmp_path / "a.txt", "one\r\n\ntwo\u2028still two\nend")
    assert [row["text"] for row in rows_of(split)] == ["one", "", "two\u2028still two", "end"]
