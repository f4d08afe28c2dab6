"""Objects in memory, and rows that are made as they are read."""

from __future__ import annotations

from pathlib import Path

import datasets
import pandas as pd
import pyarrow as pa
import pytest

from hfl_datasets import UnreadableDataError, UnsupportedSourceError, open_source

ROWS = [{"x": n, "text": f"row {n}"} for n in range(2500)]


def rows_of(source, split: str = "train") -> list:
    return [
        row for batch in open_source(source).splits[split].batches() for row in batch.to_pylist()
    ]


def test_datasets_of_every_kind_are_taken() -> None:
    dataset = datasets.Dataset.from_list(ROWS)
    assert rows_of(dataset) == ROWS
    assert rows_of(dataset.select([5, 3, 3])) == [ROWS[5], ROWS[3], ROWS[3]]
    assert rows_of(datasets.DatasetDict({"test": dataset}), "test") == ROWS
    assert rows_of(dataset.to_iterable_dataset()) == ROWS
    assert rows_of(datasets.IterableDataset.from_generator(lambda: iter(ROWS))) == ROWS


def test_a_dataset_that_was_saved_is_taken_by_its_folder(tmp_path: Path) -> None:
    datasets.disable_progress_bars()
    dataset = datasets.Dataset.from_list(ROWS)
    dataset.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"a": dataset, "b": dataset}).save_to_disk(str(tmp_path / "two"))
    assert rows_of(tmp_path / "one") == ROWS
    assert list(open_source(tmp_path / "two").splits) == ["a", "b"]


def test_frames_keep_an_index_that_has_a_name() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3]})
    assert rows_of(frame[frame.x > 1]) == [{"x": 2}, {"x": 3}]
    assert rows_of(frame.set_index(pd.Index([7, 8, 9], name="key")))[0] == {"x": 1, "key": 7}


def test_rows_that_can_be_made_once_are_read_as_often_as_wanted() -> None:
    split = open_source(iter(ROWS)).splits["train"]
    assert [batch.num_rows for batch in split.batches()] == [1000, 1000, 500]
    assert sum(batch.num_rows for batch in split.batches()) == 2500


def test_rows_may_change_their_columns_and_widen_their_types() -> None:
    made = [{"x": 1}] * 1000 + [{"x": 1.5, "y": "late"}]
    found = rows_of(lambda: iter(made))
    assert (found[0], found[-1]) == ({"x": 1.0, "y": None}, {"x": 1.5, "y": "late"})


def test_a_row_of_another_type_is_named() -> None:
    with pytest.raises(
        UnreadableDataError, match=r"the rows, row 3: Column 'x' holds a str"
    ) as caught:
        rows_of([{"x": 1}, {"x": 2}, {"x": "three"}])
    assert caught.value.column == "x"


def test_batches_are_bounded() -> None:
    table = pa.table({"x": ["y" * 10_000] * 5000})
    sizes = [batch.nbytes for batch in open_source(table).splits["train"].batches()]
    assert len(sizes) > 1
    assert max(sizes) < 20_000_000


@pytest.mark.parametrize("source", [42, object(), None])
def test_what_no_dataset_can_be_made_from_is_refused(source) -> None:
    with pytest.raises(UnsupportedSourceError, match=f"type {type(source).__name__}"):
        open_source(source)


def test_an_opened_source_is_taken_as_it_is() -> None:
    source = open_source(ROWS)
    assert open_source(source) is source
    assert open_source({"test": source.splits["train"]}).splits["test"] is source.splits["train"]
