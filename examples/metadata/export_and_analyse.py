"""Compare runs: in what two of them differ, and a table of all of them.

python examples/metadata/export_and_analyse.py
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import torch

from hfl_checkpoint import CheckpointManager
from hfl_metadata import read_metadata

for lr in (0.01, 0.1, 0.3):
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    about = {"hyperparameters": {"lr": lr}, "seeds": 0}
    with CheckpointManager(f"runs/lr-{lr}", metadata=about, background=False) as checkpoints:
        for _ in range(10):
            inputs = torch.randn(16, 4)
            loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        checkpoints.save(10, metrics={"loss": loss.item()}, model=model)

print(read_metadata("runs/lr-0.01").diff(read_metadata("runs/lr-0.3")))

hfl = str(Path(sys.executable).with_name("hfl"))
runs = sorted(str(path) for path in Path("runs").iterdir())
export = [hfl, "metadata", "export", *runs, "--format", "csv", "--select", "hyperparameters.*"]
subprocess.run([*export, "--output", "runs.csv"], check=True)
with Path("runs.csv").open(newline="") as file:
    rows = sorted(csv.DictReader(file), key=lambda row: float(row["metrics.loss"]))
for row in rows:
    print(f"lr {row['hyperparameters.lr']:>5}  loss {float(row['metrics.loss']):.4f}")

assert len(rows) == 3
assert rows[-1]["hyperparameters.lr"] == "0.01"  # too slow
