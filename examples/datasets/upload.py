"""A CSV file becomes a dataset that the datasets library loads.

python examples/datasets/upload.py
"""

from __future__ import annotations

import csv
from pathlib import Path

from _hub import signed_in

from hfl_datasets import DatasetManager

with signed_in():
    with Path("flowers.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "petal", "kind"])
        writer.writerows([n, n / 2, "abc"[n % 3]] for n in range(600))

    flowers = DatasetManager("ann/flowers")
    report = flowers.upload("flowers.csv", message="First flowers", metadata={"license": "mit"})
    print(f"{report.rows} in {report.files}, read back: {report.is_verified}")
    print(flowers.card().text)

    # The same again: nothing has to be sent.
    assert flowers.upload("flowers.csv").commit is None
    assert flowers.load("train").num_rows == 600
