"""Look at data before it is published, with rules of one's own. Needs no account and no network.

Run it with ``python examples/datasets/validation.py``.
"""

from __future__ import annotations

from pathlib import Path

from hfl_datasets import Expectation, validate_dataset

Path("train.csv").write_text(
    "id,age,mail\n1,34,\n2,41,ann.lee@corp.io\n3,29,\n4,230,\n", encoding="utf-8"
)
Path("test.csv").write_text("id,age,mail\n3,29,\n5,52.5,\n", encoding="utf-8")

report = validate_dataset(
    {"train": "train.csv", "test": "test.csv"},
    expectations=[
        Expectation("id", type="int", not_null=True, unique=True),
        Expectation("age", type="number", min=0, max=150),
    ],
    refuse=["email"],
)
print(report)
assert not report.ok

# Each finding is a place and what to do about it; a program reads them from report.to_json().
rules = {finding.rule for finding in report.errors}
assert rules == {"number-drift", "email", "expectation", "split-overlap"}, rules

# The same data, mended.
Path("train.csv").write_text("id,age\n1,34\n2,41\n3,29\n4,23\n", encoding="utf-8")
Path("test.csv").write_text("id,age\n5,52\n6,61\n", encoding="utf-8")
mended = validate_dataset({"train": "train.csv", "test": "test.csv"}, refuse=["email"])
print(mended)
assert mended.ok
