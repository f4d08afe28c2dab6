from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from hfl_core.errors import ConflictError, ValidationError
from hfl_datasets._card_text import sections_of
from hfl_datasets._image_size import image_size
from hfl_datasets._layout import shard_path, splits_in
from hfl_datasets._numbers import Numbers
from hfl_datasets._record import ConfigRecord, DatasetRecord, Entry, SplitRecord
from hfl_datasets._sections import merge_sections
from hfl_datasets._statistics import SplitStatistics
from hfl_datasets._version_names import next_version, order_of
from hfl_datasets._versions import diff_records

TODAY = dt.date(2026, 5, 1)


def statistics_of(table, labels=None, size=7):
    found = SplitStatistics(table.schema, labels)
    for batch in table.to_batches(max_chunksize=size):
        found.update(batch)
    return found.figures()


def test_figures_of_numbers_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).normal(5, 2, 12_345)
    numbers = Numbers()
    for part in np.array_split(values, 17):
        numbers.update(part)
    found = numbers.figures()
    assert found["mean"] == pytest.approx(values.mean())
    assert found["std"] == pytest.approx(values.std())
    assert (found["min"], found["max"]) == (
        pytest.approx(values.min()),
        pytest.approx(values.max()),
    )
    assert found["quantiles"]["0.5"] == pytest.approx(np.median(values))
    assert sum(found["histogram"]["counts"]) == len(values)
    assert "sampled" not in found


def test_quantiles_of_many_numbers_are_near_and_always_the_same() -> None:
    values = np.arange(200_000, dtype=float)
    one, other = Numbers(), Numbers()
    one.update(values)
    for part in np.array_split(values, 13):
        other.update(part)
    assert one.figures()["quantiles"] == other.figures()["quantiles"]
    assert one.figures()["quantiles"]["0.25"] == pytest.approx(50_000, rel=0.01)
    assert one.figures()["sampled"] <= 20_000


def test_each_kind_of_column_has_its_figures() -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(8) + (640).to_bytes(4, "big") + (480).to_bytes(4, "big")
    table = pa.table(
        {
            "number": [1.0, float("nan"), float("inf"), None],
            "text": ["a", "bbb", "a", None],
            "label": [0, 1, 1, 5],
            "flag": [True, True, False, None],
            "list": [[1, 2], [], None, [3]],
            "image": [{"bytes": png, "path": "a.png"}, {"bytes": None, "path": "b"}, None, None],
            "day": [dt.date(2026, 1, 2), None, dt.date(2025, 1, 2), dt.date(2026, 1, 2)],
            "category": pa.array(["x", "y", "x", None]).dictionary_encode(),
        }
    )
    found = statistics_of(table, {"label": ["cat", "dog"]}, size=3)
    assert (found["number"]["nan"], found["number"]["infinite"], found["number"]["max"]) == (
        1,
        1,
        1,
    )
    assert found["text"]["frequent"] == [["a", 2], ["bbb", 1]]
    assert (found["text"]["nulls"], found["text"]["lengths"]["max"]) == (1, 3)
    assert found["label"]["frequent"] == [["dog", 2], ["cat", 1], ["5", 1]]
    assert found["flag"]["distinct"] == 2
    assert found["list"]["lengths"]["mean"] == 1
    assert (found["image"]["widths"]["max"], found["image"]["heights"]["max"]) == (640, 480)
    assert (found["day"]["min"], found["day"]["max"]) == ("2025-01-02", "2026-01-02")
    assert found["category"]["distinct"] == 2


def test_values_that_hardly_repeat_are_not_counted_one_by_one() -> None:
    found = statistics_of(pa.table({"id": list(range(30_000))}), size=10_000)["id"]
    assert "distinct" not in found
    assert found["max"] == 29_999


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"GIF89a" + bytes([3, 0, 2, 0]), (3, 2)),
        (
            b"BM" + bytes(16) + (5).to_bytes(4, "little") + (-4).to_bytes(4, "little", signed=True),
            (5, 4),
        ),
        (b"RIFF0000WEBPVP8X" + bytes(8) + bytes([9, 0, 0, 7, 0, 0]), (10, 8)),
        (b"RIFF0000WEBPVP8L" + bytes(5) + (2 | 1 << 14).to_bytes(4, "little"), (3, 2)),
        (b"RIFF0000WEBPVP8 " + bytes(10) + bytes([6, 0, 5, 0]), (6, 5)),
        (
            b"\xff\xd8\xff\xe0\x00\x04AB\xff\xff\xc0\x00\x11\x08\x00\x20\x00\x10" + bytes(8),
            (16, 32),
        ),
        (b"\xff\xd8\xff\xe0\x00", None),
        (b"RIFF0000WEBPnone", None),
        (b"no image", None),
        (b"\x89PNG\r\n\x1a\n", None),
    ],
)
def test_the_size_of_an_image_is_in_its_first_bytes(data, size) -> None:
    assert image_size(data) == size


def test_sections_follow_the_line_ends_of_the_text_and_leave_the_rest() -> None:
    body = "# T\r\n\r\nBy hand.\r\n"
    first = merge_sections(body, {"schema": "a\nb\n"})
    assert first.text.startswith(body)
    assert "a\r\nb\r\n" in first.text
    again = merge_sections(first.text, {"schema": "c\n"})
    assert again.kept == ()
    assert again.text.startswith(body)
    assert "a\r\n" not in again.text
    emptied = merge_sections(again.text, {"schema": ""})
    assert "c" not in emptied.text.partition("By hand.")[2].replace("schema", "")
    assert merge_sections(body, {"schema": "a"}, written=["schema"]).text == body


def test_the_next_version_follows_the_highest_one() -> None:
    tags = ["1.2.3", "1.10.0", "nightly", "2026.01.02"]
    assert next_version("patch", tags, TODAY) == "1.10.1"
    assert next_version("major", ["v1.2.3"], TODAY) == "v2.0.0"
    assert next_version("minor", [], TODAY) == "0.1.0"
    assert next_version("date", [*tags, "2026.05.01"], TODAY) == "2026.05.01.2"
    assert next_version("2026-05-01", tags, TODAY) == "2026-05-01"
    with pytest.raises(ConflictError):
        next_version("1.2.3", tags, TODAY)
    with pytest.raises(ValidationError):
        next_version("new", tags, TODAY)
    assert order_of("nightly") is None
    assert sorted(["1.10.0", "1.9.0"], key=order_of) == ["1.9.0", "1.10.0"]


def record(table, content="", **files) -> SplitRecord:
    columns = {field.name: str(field.type) for field in table.schema}
    return SplitRecord(table.num_rows, table.nbytes, content, columns, files, statistics_of(table))


def versions(before, after, **names):
    return [DatasetRecord({"default": ConfigRecord({"train": split})}) for split in (before, after)]


def test_a_diff_names_columns_types_and_figures_that_moved() -> None:
    before = pa.table(
        {"x": [1.0, 2.0, 3.0], "kind": ["a", "a", "b"], "old": [1, 2, 3], "n": [1, 2, 3]}
    )
    after = pa.table(
        {
            "x": [11.0, 12.0, None],
            "kind": ["b", "b", "b"],
            "new": ["a", "b", "c"],
            "n": [1.0, 2.0, 3.0],
        }
    )
    (found,) = diff_records(*versions(record(before), record(after)))
    assert dict(found.added) == {"new": "string"}
    assert dict(found.removed) == {"old": "int64"}
    assert dict(found.retyped) == {"n": ("int64", "double")}
    assert found.is_same is False
    figures = {(drift.column, drift.figure) for drift in found.drift}
    assert {("x", "mean"), ("x", "share of nulls"), ("kind", "distribution")} <= figures
    assert ("kind", "distinct") in figures


def test_a_diff_says_the_same_only_of_what_was_compared() -> None:
    table = pa.table({"x": [1, 2]})
    for one, other, is_same in (
        (record(table, "a"), record(table, "a"), True),
        (record(table, "a"), record(table, "b"), False),
        (record(table), record(table), None),
        (record(table, f="1"), record(table, f="1"), True),
    ):
        (found,) = diff_records(*versions(one, other))
        assert found.is_same is is_same
        assert found.drift == ()


def test_a_split_that_only_one_version_has_is_named() -> None:
    one = DatasetRecord({"default": ConfigRecord({"train": record(pa.table({"x": [1]}))})})
    (found,) = diff_records(one, DatasetRecord())
    assert (found.split, found.rows_before, found.rows_after) == ("train", 1, None)


def test_a_card_of_many_columns_stays_readable() -> None:
    table = pa.table({f"c{n}": [1.5, n] for n in range(500)})
    known = DatasetRecord({"default": ConfigRecord({"train": record(table)})})
    sections = sections_of(known, {})
    assert "… and 440 more columns." in sections["schema"]
    assert len(sections["statistics"]) < 20_000
    assert sections["changelog"] == sections["usage"] == sections["citation"] == ""


def test_values_cannot_break_out_of_the_table() -> None:
    table = pa.table({"x": ["a|b", "<!-- /hfl:statistics -->", "`c`\n# d"]})
    known = DatasetRecord(
        {"default": ConfigRecord({"train": record(table)})},
        (Entry("2026-05-01", "<b>|x|</b>", "1.0.0", "train: 3 rows"),),
    )
    text = "\n".join(sections_of(known, {}).values())
    assert "a\\|b" in text
    assert "<!--" not in text
    assert "\n# d" not in text
    merged = merge_sections("", {"statistics": text})
    assert merge_sections(merged.text, {"statistics": "new"}).kept == ()


def test_a_record_is_the_same_after_it_was_written_and_read() -> None:
    known = DatasetRecord(
        {"default": ConfigRecord({"train": record(pa.table({"x": [1]}), "c", f="1")})},
        (Entry("2026-05-01", "First"),),
        ("schema",),
    )
    read = DatasetRecord.decode(known.encode())
    assert read is not None
    assert read.encode() == known.encode()
    assert read.matching({"f": "1"}).rows == {"train": 1}
    assert read.matching({"f": "2"}).rows == {}
    assert read.matching({}).rows == {}


def test_files_of_push_to_hub_are_known_too() -> None:
    path = shard_path("de", "train", 1, 2)
    other = "de/train-00000-of-00002-0123456789abcdef.parquet"
    digests = {path: "1", other: "2", "data/train-00000-of-00001.parquet": "3", "de/x.csv": None}
    assert splits_in(digests, digests, "de") == {"train": {path: "1", other: "2"}}
