"""Divide rows into splits: at random, stratified, by group, by time. Needs no account and no network.

Run it with ``python examples/datasets/splits.py``.
"""

from __future__ import annotations

import datetime
import random

from hfl_datasets import check_splits, create_splits, open_configs, rename_splits, validate_dataset

dice = random.Random(0)
start = datetime.date(2026, 1, 1)
visits = [
    {
        "visit": number,
        "patient": f"p{dice.randrange(60)}",
        "day": start + datetime.timedelta(days=dice.randrange(120)),
        "ill": dice.random() < 0.2,
    }
    for number in range(1000)
]
sizes = {"train": 0.8, "validation": 0.1, "test": 0.1}

for options in ({}, {"stratify": "ill"}, {"group": "patient"}, {"time": "day"}):
    source = create_splits(visits, sizes, seed=7, **options)
    rows = {split.name: sum(batch.num_rows for batch in split.batches()) for split in source}
    print(options or "at random", rows)
    assert check_splits(source, **options).ok

# At random, the same patient is in several splits: a model that remembers patients would look good.
report = check_splits(create_splits(visits, sizes, seed=7), group="patient")
print(report)
assert not report.ok

# The result is a source like any other: it can be validated, renamed and uploaded.
by_patient = create_splits(visits, sizes, seed=7, group="patient")
assert validate_dataset(by_patient).ok
assert list(rename_splits(by_patient, {"validation": "dev"}).splits) == ["train", "dev", "test"]

# Several configurations are several sources, each uploaded with config=name.
configs = open_configs({"en": [{"text": "one"}], "de": [{"text": "eins"}]})
assert list(configs) == ["en", "de"]
