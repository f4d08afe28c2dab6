"""Whatever the format, the rows come out as they went in."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import csv, feather, parquet

from hfl_datasets import open_source

TYPED = {
    "ints": pa.array([1, None, -(2**62)]),
    "floats": pa.array([1.5, None, 1e300]),
    "texts": pa.array(["a", None, 'é "quoted", and\nmore']),
    "bools": pa.array([True, None, False]),
    "times": pa.array([1767322800000000, None, 0], pa.timestamp("us")),
    "bytes": pa.array([b"\x00\xff", None, b""]),
    "lists": pa.array([[1, 2], None, []]),
    "structs": pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}]),
    "nested": pa.array([[{"x": [1.5]}], None, []]),
    "categories": pa.array(["a", "b", "a"]).dictionary_encode(),
    "halves": pa.array([1, 2, 3], pa.int8()),
    "large": pa.array(["a", None, "b"], pa.large_string()),
}


def read(source, split: str = "train") -> pa.Table:
    found = open_source(source).splits[split]
    return pa.Table.from_batches(list(found.batches()), found.schema)


@pytest.mark.parametrize("kind", TYPED)
@pytest.mark.parametrize("format_", ["parquet", "feather", "arrow", "table", "batches"])
def test_every_arrow_type_survives(kind: str, format_: str, tmp_path: Path) -> None:
    table = pa.table({kind: TYPED[kind]})
    source: object = tmp_path / f"data.{format_}"
    if format_ == "parquet":
        parquet.write_table(table, source)
    elif format_ == "feather":
        feather.write_feather(table, str(source))
    elif format_ == "arrow":
        with pa.ipc.new_stream(str(source), table.schema) as writer:
            writer.write_table(table)
    else:
        source = table if format_ == "table" else (lambda: iter(table.to_batches()))
    assert read(source).to_pylist() == table.to_pylist()
    assert read(source).schema.field(kind).type == table.schema.field(kind).type


@pytest.mark.parametrize("kind", ["ints", "floats", "texts", "bools", "halves", "large"])
def test_plain_types_survive_csv(kind: str, tmp_path: Path) -> None:
    table = pa.table({"row": [1, 2, 3], kind: TYPED[kind]})
    csv.write_csv(table, str(tmp_path / "data.csv"))
    assert read(tmp_path / "data.csv").to_pylist() == table.to_pylist()


@pytest.mark.parametrize("kind", ["ints", "floats", "texts", "bools", "lists", "structs", "nested"])
@pytest.mark.parametrize("format_", ["jsonl", "json", "rows"])
def test_what_json_can_hold_survives(kind: str, format_: str, tmp_path: Path) -> None:
    rows = [{"row": row, kind: value} for row, value in enumerate(TYPED[kind].to_pylist())]
    path = tmp_path / f"data.{format_}"
    if format_ == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    else:
        path.write_text(json.dumps(rows, indent=1), "utf-8")
    assert read(rows if format_ == "rows" else path).to_pylist() == rows


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst", ".zip"])
@pytest.mark.parametrize(
    "name", ["data.csv", "data.jsonl", "data.json", "data.txt", "data.parquet"]
)
def test_compressed_files_hold_what_plain_ones_do(name: str, suffix: str, tmp_path: Path) -> None:
    table = pa.table({"text": [f"line {n}" for n in range(500)]})
    plain = tmp_path / name
    if name.endswith(".csv"):
        csv.write_csv(table, str(plain))
    elif name.endswith(".parquet"):
        parquet.write_table(table, plain)
    elif name.endswith(".txt"):
        plain.write_text("\n".join(table["text"].to_pylist()))
    elif name.endswith(".json"):
        plain.write_text(json.dumps(table.to_pylist()))
    else:
        plain.write_text("\n".join(map(json.dumps, table.to_pylist())))
    packed = _packed(plain, suffix)
    assert read(packed).to_pylist() == table.to_pylist()


def _packed(plain: Path, suffix: str) -> Path:
    data, packed = plain.read_bytes(), plain.with_name(plain.name + suffix)
    if suffix == ".zip":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(f"inside/{plain.name}", data)
            archive.writestr("__MACOSX/._junk.csv", b"junk")
    elif suffix == ".zst":
        with pa.CompressedOutputStream(str(packed), "zstd") as out:
            out.write(data)
    else:
        pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix]
        packed.write_bytes(pack(data))
    return packed


def test_a_gzip_file_of_several_members_is_read_to_its_end(tmp_path: Path) -> None:
    packed = gzip.compress(b"x\n1\n") + gzip.compress(b"2\n3\n")
    (tmp_path / "data.csv.gz").write_bytes(packed)
    assert read(tmp_path / "data.csv.gz")["x"].to_pylist() == [1, 2, 3]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(
        st.text(
            st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), max_size=30
        ),
        min_size=1,
        max_size=30,
    )
)
def test_any_text_survives_csv_and_json(values, tmp_path: Path) -> None:
    # A CSV file cannot tell an empty field from none; a letter before keeps numbers text.
    rows = [{"n": n, "text": f"t{value}"} for n, value in enumerate(values)]
    table = pa.Table.from_pylist(rows)
    csv.write_csv(table, str(tmp_path / "a.csv"))
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (tmp_path / "a.json").write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
    assert read(tmp_path / "a.jsonl").to_pylist() == rows
    assert read(tmp_path / "a.json").to_pylist() == rows
    assert read(tmp_path / "a.csv").to_pylist() == rows


def test_a_folder_gives_the_splits_that_its_names_say(tmp_path: Path) -> None:
    for name in ("train-00000-of-00002.csv", "train-00001-of-00002.csv", "test.csv", "my_dev.csv"):
        (tmp_path / name).write_text("x\n1\n")
    (tmp_path / "README.md").write_text("no data")
    (tmp_path / ".hidden.csv").write_text("x\n1\n")
    source = open_source(tmp_path)
    assert {name: len(split.files) for name, split in source.splits.items()} == {
        "train": 2,
        "validation": 1,
        "test": 1,
    }


def test_folders_give_splits_too(tmp_path: Path) -> None:
    for split in ("training", "testing"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "a.jsonl").write_text('{"x": 1}')
    assert list(open_source(tmp_path).splits) == ["train", "test"]


def test_patterns_lists_and_mappings_are_taken(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"part{number}.csv").write_text(f"x\n{number}\n")
    assert read(f"{tmp_path}/part*.csv")["x"].to_pylist() == [0, 1, 2]
    assert read([tmp_path / "part2.csv", tmp_path / "part0.csv"])["x"].to_pylist() == [2, 0]
    source = open_source({"a": tmp_path / "part0.csv", "b": f"{tmp_path}/part[12].csv"})
    assert [len(split.files) for split in source] == [1, 2]


def test_the_types_of_files_are_brought_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("y,x,z\nq,1.5,true\n")
    assert read(tmp_path).to_pylist() == [
        {"x": 1.0, "y": "2", "z": None},
        {"x": 1.5, "y": "q", "z": True},
    ]


def test_another_encoding_is_known_by_its_mark_or_by_what_is_said(tmp_path: Path) -> None:
    text = "x,y\n1,é\n"
    (tmp_path / "marked.csv").write_bytes(text.encode("utf-16"))
    (tmp_path / "bom.csv").write_bytes(text.encode("utf-8-sig"))
    (tmp_path / "latin.csv").write_bytes(text.encode("latin-1"))
    expected = [{"x": 1, "y": "é"}]
    assert read(tmp_path / "marked.csv").to_pylist() == expected
    assert read(tmp_path / "bom.csv").to_pylist() == expected
    source = open_source(tmp_path / "latin.csv", encoding="latin-1").splits["train"]
    assert [row for batch in source.batches() for row in batch.to_pylist()] == expected


def test_a_schema_of_the_datasets_library_is_kept(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {"x": datasets.Value("int64"), "y": datasets.ClassLabel(names=["no", "yes"])}
    )
    given_ = datasets.Dataset.from_dict({"x": [1, 2], "y": [0, 1]}, features=features)
    given_.to_parquet(str(tmp_path / "a.parquet"))
    for source in (given_, tmp_path / "a.parquet"):
        schema = open_source(source).splits["train"].schema
        assert datasets.Features.from_arrow_schema(schema) == features
