"""Versions with names: what changed from one to the next, and how to stay at one.

python examples/datasets/versions.py
"""

from __future__ import annotations

from _hub import signed_in

from hfl_datasets import DatasetManager

with signed_in():
    rows = [{"id": n, "petal": n / 2, "kind": "abc"[n % 3]} for n in range(600)]
    flowers = DatasetManager("ann/flowers")
    flowers.upload(rows, message="First flowers", version="1.0.0")

    # Ten rows go, one is mended; the key says which row is which.
    rows = [dict(row, petal=999.0) if row["id"] == 42 else row for row in rows[10:]]
    report = flowers.upload(rows, message="Mend a petal", version="minor", key="id")
    print(report.version, report.changes["train"])
    assert str(report.changes["train"]) == "590 rows, +0 -10 ~1"

    for version in flowers.versions():
        print(version.name, version.commit[:12], version.message, f"({version.changes})")
    for drift in flowers.diff("1.0.0", "1.1.0").splits[0].drift:
        print(f"{drift.column}: {drift.figure} was {drift.before}, is {drift.after}")

    # A commit never moves.
    pinned = flowers.versions()[-1].commit
    assert flowers.load("train", revision=pinned).num_rows == 600
