"""The datasets that scikit-learn ships, and the CSV files that packages ship."""

from __future__ import annotations

from pathlib import Path

import numpy
import pandas as pd
import pyarrow as pa
import pytest
import sklearn
from sklearn import datasets as toys

from hfl_datasets import create_splits, open_source, validate_dataset

TOYS = Path(sklearn.__file__).parent / "datasets" / "data"
_MANY = [
    *sorted(Path(numpy.__file__).parent.glob("*core/tests/data/umath-validation-set-*s*.csv")),
    *sorted(Path(numpy.__file__).parent.glob("random/tests/data/*.csv")),
    TOYS / "iris.csv",
]
# Some hold lines that begin with ##, which is no CSV.
SHIPPED = [path for path in _MANY if "##" not in path.read_text()]


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_the_toy_sets_are_fit_and_can_be_divided(name: str) -> None:
    frame = getattr(toys, f"load_{name}")(as_frame=True).frame
    report = validate_dataset(frame)
    assert report.ok, report
    assert report.rows == {"train": len(frame)}
    label = None if name == "diabetes" else "target"
    divided = create_splits(frame, {"train": 0.8, "test": 0.2}, stratify=label)
    tables = [pa.Table.from_batches(list(split.batches())) for split in divided]
    assert sum(table.num_rows for table in tables) == len(frame)
    assert abs(tables[1].num_rows - 0.2 * len(frame)) <= 1


def test_iris_repeats_a_flower() -> None:
    report = validate_dataset(toys.load_iris(as_frame=True).frame)
    (found,) = [item for item in report.findings if item.rule == "duplicate-rows"]
    assert found.number == 143
    assert "row 102" in found.message


@pytest.mark.parametrize("path", SHIPPED, ids=[path.name for path in SHIPPED])
def test_shipped_files_are_read_as_pandas_reads_them(path: Path) -> None:
    split = open_source(path).splits["train"]
    expected = pd.read_csv(path)
    found = pa.Table.from_batches(list(split.batches())).to_pandas()
    assert list(found.columns) == list(expected.columns)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("breast_cancer.csv", "ragged-row"),
        ("wine_data.csv", "ragged-row"),
        ("digits.csv.gz", "duplicate-column"),
    ],
)
def test_shipped_files_without_a_header_are_refused(name: str, rule: str) -> None:
    report = validate_dataset(TOYS / name)
    assert not report.ok
    assert rule in {item.rule for item in report.errors}
