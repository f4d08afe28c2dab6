from __future__ import annotations

import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hfl_core.errors import IncompatibleStateError, IntegrityError, ValidationError
from hfl_datasets import DatasetStream, SourceNotFoundError, SplitNotFoundError


@pytest.fixture
def folder(tmp_path):
    """Three files with three row groups of five rows each."""
    for number in range(3):
        rows = [{"x": number * 15 + row, "text": f"t{row}"} for row in range(15)]
        path = tmp_path / "rows" / f"{number}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=5)
    return tmp_path / "rows"


def numbers(rows) -> list:
    return [row["x"] for row in rows]


def resumed(stream, state):
    """A stream in another process has nothing but the files and the state."""
    stream.load_state_dict(json.loads(json.dumps(state)))
    return stream


def test_rows_come_in_order_with_all_columns(folder) -> None:
    stream = DatasetStream.from_files(folder)
    assert numbers(stream) == list(range(45))
    assert stream.column_names == ["x", "text"]
    assert stream.epoch == 1


@pytest.mark.parametrize("buffer", [0, 1, 7, 44, 45, 100])
def test_resumed_at_any_row_twice_the_rest_is_the_same(folder, buffer) -> None:
    def make():
        stream = DatasetStream.from_files(folder)
        return stream.shuffle(buffer, seed=3) if buffer else stream

    whole = numbers(make())
    assert sorted(whole) == list(range(45))
    for stop in range(0, 46, 3):
        first, seen = make(), []
        rows = iter(first)
        for _ in range(stop):
            seen.append(next(rows)["x"])
        second = resumed(make(), first.state_dict())
        rows = iter(second)
        for _ in range(min(4, 45 - stop)):
            seen.append(next(rows)["x"])
        third = resumed(make(), second.state_dict())
        assert seen + numbers(third) == whole, stop


def test_a_state_that_was_loaded_and_not_used_is_still_the_state(folder) -> None:
    stream = DatasetStream.from_files(folder)
    rows = iter(stream)
    next(rows)
    state = stream.state_dict()
    again = resumed(DatasetStream.from_files(folder), state)
    assert again.state_dict() == state


def test_each_epoch_has_an_order_of_its_own_and_is_the_same_every_time(folder) -> None:
    stream = DatasetStream.from_files(folder).shuffle(20, seed=1)
    first, second = numbers(stream), numbers(stream)
    assert first != second
    assert sorted(second) == list(range(45))
    stream.set_epoch(0)
    assert numbers(stream) == first
    assert numbers(DatasetStream.from_files(folder).shuffle(20, seed=2)) != first


def test_breaking_off_and_beginning_again_starts_at_the_first_row(folder) -> None:
    stream = DatasetStream.from_files(folder)
    next(iter(stream))
    assert numbers(stream) == list(range(45))


def test_parts_together_have_every_row_once(folder) -> None:
    for of in (1, 2, 3, 5):
        parts = [DatasetStream.from_files(folder).shard(index, of) for index in range(of)]
        assert sorted(x for part in parts for x in numbers(part)) == list(range(45))
    with pytest.raises(ValidationError):
        DatasetStream.from_files(folder).shard(2, 2)


def test_a_part_goes_on_where_it_was(folder) -> None:
    part = DatasetStream.from_files(folder).shard(1, 2).shuffle(4)
    whole = numbers(part)
    part.set_epoch(0)
    rows = iter(part)
    seen = [next(rows)["x"] for _ in range(8)]
    again = resumed(DatasetStream.from_files(folder).shard(1, 2).shuffle(4), part.state_dict())
    assert seen + numbers(again) == whole


def test_a_position_in_another_stream_is_refused(folder) -> None:
    stream = DatasetStream.from_files(folder)
    state = stream.state_dict()
    for other in (
        stream.shuffle(3),
        stream.select_columns(["x"]),
        stream.shard(0, 2),
        DatasetStream.from_files(folder / "0.parquet"),
    ):
        with pytest.raises(IncompatibleStateError):
            other.load_state_dict(state)
    with pytest.raises(IncompatibleStateError):
        stream.load_state_dict({})


def test_columns_that_are_not_there_are_named(folder) -> None:
    stream = DatasetStream.from_files(folder)
    with pytest.raises(ValidationError, match="'y'"):
        stream.select_columns(["y"])
    with pytest.raises(ValidationError):
        stream.select_columns([])
    with pytest.raises(ValidationError):
        stream.shuffle(0)


def test_files_that_are_not_there_or_damaged_are_named(tmp_path) -> None:
    with pytest.raises(SourceNotFoundError):
        DatasetStream.from_files(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(IntegrityError, match=r"bad\.parquet"):
        list(DatasetStream.from_files([tmp_path / "bad.parquet"]))


TEXTS = [hashlib.sha256(str(number).encode()).hexdigest() * 2 for number in range(4000)]
TABLE = pa.table({"x": list(range(4000)), "text": TEXTS})


def test_from_the_hub_only_the_columns_that_are_selected_are_fetched(dataset, publish, hub) -> None:
    texts = dataset()
    publish(texts, TABLE)
    stream = texts.load("train", streaming=True)
    hub.requests.clear()
    assert numbers(stream.select_columns(["x"])) == list(range(4000))
    few = sum(record.bytes_out for record in hub.requests)
    hub.requests.clear()
    assert sum(1 for _ in stream) == 4000
    assert few < sum(record.bytes_out for record in hub.requests) / 2


def test_from_the_hub_a_connection_that_breaks_is_taken_up_again(dataset, publish, hub) -> None:
    texts = dataset()
    publish(texts, TABLE)
    fault = hub.faults.drop(100, path="*/resolve/*", method="GET", skip=1)
    fault2 = hub.faults.answer(503, path="*/resolve/*", method="GET", skip=2)
    assert numbers(texts.load("train", streaming=True)) == list(range(4000))
    assert (fault.hits, fault2.hits) == (1, 1)


def test_from_the_hub_a_stream_goes_on_at_the_same_commit(dataset, publish) -> None:
    texts = dataset()
    publish(texts, TABLE, version="1.0.0")
    stream = texts.load("train", streaming=True, revision="1.0.0").shuffle(100)
    whole = numbers(stream)
    stream.set_epoch(0)
    rows = iter(stream)
    seen = [next(rows)["x"] for _ in range(1000)]
    state = stream.state_dict()
    publish(texts, TABLE.slice(0, 10))
    again = texts.load("train", streaming=True, revision="1.0.0").shuffle(100)
    assert seen + numbers(resumed(again, state)) == whole
    with pytest.raises(IncompatibleStateError):
        texts.load("train", streaming=True).shuffle(100).load_state_dict(state)


def test_a_split_that_is_not_there_is_named(dataset, publish) -> None:
    texts = dataset()
    publish(texts, {"train": TABLE, "test": TABLE})
    with pytest.raises(SplitNotFoundError, match="train, test"):
        texts.load("dev", streaming=True)
    with pytest.raises(SplitNotFoundError, match="'other'"):
        texts.load(config="other")
    assert sorted(texts.load(streaming=True)) == ["test", "train"]


def test_a_download_is_verified_and_holds_what_was_asked_for(dataset, publish, tmp_path) -> None:
    texts = dataset()
    publish(texts, {"train": TABLE, "test": TABLE.slice(0, 5)})
    folder = texts.download("test", to=tmp_path / "here")
    found = sorted(path.name for path in folder.rglob("*") if path.is_file())
    assert found == ["README.md", "test-00000-of-00001.parquet"]
    everything = texts.download()
    assert (everything / "data" / "train-00000-of-00001.parquet").is_file()
    assert pq.read_table(folder / "data" / found[1]).num_rows == 5


def test_loading_gives_an_object_of_the_datasets_library(dataset, publish) -> None:
    texts = dataset()
    publish(texts, {"train": TABLE, "test": TABLE.slice(0, 5)})
    loaded = texts.load("test")
    assert loaded.num_rows == 5
    assert loaded[3]["x"] == 3
    assert {name: split.num_rows for name, split in texts.load().items()} == {
        "train": 4000,
        "test": 5,
    }
