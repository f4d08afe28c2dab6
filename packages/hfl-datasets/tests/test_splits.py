"""Splits: made, renamed and looked at."""

from __future__ import annotations

import datetime
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfl_core import ConfigError
from hfl_datasets import (
    SplitNotFoundError,
    check_splits,
    create_splits,
    open_configs,
    rename_splits,
    validate_dataset,
)

dice = random.Random(0)
ROWS = [
    {
        "id": n,
        "who": f"user {dice.randrange(150)}",
        "when": datetime.date(2026, 1, 1) + datetime.timedelta(days=dice.randrange(90)),
        "label": dice.choice("aaaaabbbc"),
    }
    for n in range(3000)
]
SIZES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def ids(source) -> dict[str, list]:
    return {
        split.name: [row["id"] for batch in split.batches() for row in batch.to_pylist()]
        for split in source
    }


@pytest.mark.parametrize("options", [{}, {"stratify": "label"}, {"group": "who"}, {"time": "when"}])
def test_every_row_is_in_one_split_and_keeps_its_order(options: dict) -> None:
    made = ids(create_splits(ROWS, SIZES, **options))
    assert list(made) == ["train", "validation", "test"]
    assert sorted(number for part in made.values() for number in part) == list(range(3000))
    assert all(part == sorted(part) for part in made.values())
    for name, part in made.items():
        assert abs(len(part) - SIZES[name] * 3000) < 40


@pytest.mark.parametrize("options", [{}, {"stratify": "label"}, {"group": "who"}])
def test_the_seed_decides(options: dict) -> None:
    assert ids(create_splits(ROWS, SIZES, **options)) == ids(create_splits(ROWS, SIZES, **options))
    assert ids(create_splits(ROWS, SIZES, **options)) != ids(
        create_splits(ROWS, SIZES, seed=1, **options)
    )


def test_the_same_seed_gives_the_same_rows_everywhere() -> None:
    made = ids(create_splits([{"id": n} for n in range(20)], {"train": 15, "test": 5}, seed=7))
    assert made["test"] == [5, 7, 13, 15, 16]


def test_strata_have_the_same_shares() -> None:
    source = create_splits(ROWS, SIZES, stratify="label")
    whole = Counter(row["label"] for row in ROWS)
    for split in source:
        found = Counter(row["label"] for batch in split.batches() for row in batch.to_pylist())
        for label, count in whole.items():
            assert abs(found[label] - count * SIZES[split.name]) <= 1
    assert check_splits(source, stratify="label").findings == ()


def test_groups_stay_together_and_times_stay_apart() -> None:
    assert check_splits(create_splits(ROWS, SIZES, group="who"), group="who").ok
    assert check_splits(create_splits(ROWS, SIZES, time="when"), time="when").ok
    at_random = create_splits(ROWS, SIZES)
    report = check_splits(at_random, group="who", time="when")
    assert {item.rule for item in report.findings} == {"group-overlap", "time-overlap"}
    assert "group='who'" in report.findings[0].hint


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=12, max_size=60),
    st.lists(st.integers(1, 9), min_size=2, max_size=4),
    st.sampled_from(["stratify", "none"]),
)
def test_sizes_come_out_whatever_they_are(labels, weights, how) -> None:
    rows = [{"id": n, "label": label} for n, label in enumerate(labels)]
    sizes = {f"s{n}": weight / sum(weights) for n, weight in enumerate(weights)}
    options = {"stratify": "label"} if how == "stratify" else {}
    try:
        made = ids(create_splits(rows, sizes, **options))
    except ConfigError:  # so few rows that a split would be empty
        assert min(sizes.values()) * len(rows) < 5
        return
    assert sorted(number for part in made.values() for number in part) == list(range(len(rows)))
    slack = 1 if how == "none" else 5
    for name, part in made.items():
        assert abs(len(part) - sizes[name] * len(rows)) <= slack


def test_a_label_that_is_off_balance_is_found() -> None:
    rows = [{"label": "a"}] * 50 + [{"label": "b"}] * 50
    report = check_splits({"train": rows, "test": rows[:50]}, stratify="label")
    assert {item.rule for item in report.findings} == {"label-balance"}
    assert "'a' is 50% of split 'train' and 100% of split 'test'" in report.findings[0].message


def test_places_of_rows_are_those_of_the_file_that_they_are_from(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "id,x\n" + "".join(f"{n},{n}.5\n" for n in range(10)) + "10,inf\n"
    )
    divided = create_splits(tmp_path / "a.csv", {"train": 0.5, "test": 0.5}, seed=3)
    (found,) = [item for item in validate_dataset(divided).findings if item.rule == "infinite"]
    assert found.where.endswith("a.csv, line 12")


@pytest.mark.parametrize(
    ("sizes", "options", "words"),
    [
        ({"train": 0.8, "test": 0.1}, {}, "add up to 0.9, not to 1"),
        ({"train": 2000, "test": 999}, {}, "add up to 2,999; there are 3,000 rows"),
        ({"train": 1.0, "test": 0}, {}, "size above 0"),
        ({}, {}, "No split is named"),
        ({"a-b": 1.0}, {}, "cannot be called 'a-b'"),
        ({"all": 1.0}, {}, "reserved"),
        (SIZES, {"stratify": "nope"}, "no column 'nope'"),
        (SIZES, {"stratify": "label", "group": "who"}, "one column only"),
        ({"train": 0.99999, "test": 0.00001}, {}, "'test' would have no row"),
    ],
)
def test_what_makes_no_sense_is_refused(sizes: dict, options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        create_splits(ROWS, sizes, **options)


def test_rows_without_a_time_cannot_be_divided_by_it() -> None:
    with pytest.raises(ConfigError, match="1 rows have no value of 'when'"):
        create_splits(
            [*ROWS[:5], {"id": 1, "who": "x", "when": None, "label": "a"}], SIZES, time="when"
        )


def test_splits_are_renamed_and_keep_their_order() -> None:
    source = {"a-b": ROWS[:2], "train": ROWS[2:5], "test": ROWS[5:7]}
    renamed = rename_splits(source, {"a-b": "validation"})
    assert list(renamed.splits) == ["validation", "train", "test"]
    assert ids(renamed)["validation"] == [0, 1]
    with pytest.raises(SplitNotFoundError, match="dev"):
        rename_splits(source, {"dev": "x"})
    with pytest.raises(ConfigError, match="Two splits"):
        rename_splits(source, {"a-b": "train"})
    with pytest.raises(ConfigError, match="holds '/'"):
        rename_splits(source, {"a-b": "x/y"})


def test_all_splits_of_a_source_are_divided_together() -> None:
    made = ids(create_splits({"a": ROWS[:10], "b": ROWS[10:30]}, {"train": 25, "test": 5}))
    assert sorted(made["train"] + made["test"]) == list(range(30))


def test_configs_are_sources_of_their_own() -> None:
    configs = open_configs({"en-US": ROWS[:3], "de": {"test": ROWS[3:5]}})
    assert ids(configs["de"]) == {"test": [3, 4]}
    with pytest.raises(ConfigError, match="cannot be called 'a/b'"):
        open_configs({"a/b": ROWS})


def test_looking_at_splits_names_what_is_missing() -> None:
    with pytest.raises(ConfigError, match="no column 'x'"):
        check_splits(ROWS, group="x")
    report = check_splits({"train": ROWS[:2], "test": pa.table({"id": pa.array([], pa.int64())})})
    assert [item.rule for item in report.findings] == ["no-rows"]
