"""What was this run? Capture it, write it, read it again.

python examples/metadata/basic.py
"""

from __future__ import annotations

from pathlib import Path

import torch

from hfl_metadata import DataSource, capture, read_metadata

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
model[0].requires_grad_(False)

metadata = capture(
    model,
    hyperparameters={"lr": 3e-4, "batch_size": 32, "schedule": torch.cos},
    data=DataSource("noise", revision="v1", preprocessing=["scale to 0..1"]),
    seeds=0,
    note="baseline",
)
print(metadata)

# What JSON cannot hold is named.
for omission in metadata.omissions:
    print("left out:", omission.path, omission.type)

Path("metadata.json").write_text(metadata.to_json())
Path("metadata.yaml").write_text(metadata.to_yaml())
assert read_metadata("metadata.json") == read_metadata("metadata.yaml") == metadata
assert metadata.model is not None
assert metadata.model.frozen_parameters == 8 * 16 + 16
