"""Your own fields and your own classes in the record; secrets stay out of it.

python examples/metadata/custom.py
"""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path

from hfl_metadata import capture


class Schedule(enum.Enum):
    """How the learning rate falls."""

    COSINE = "cosine"


@dataclasses.dataclass
class Options:
    """What a training script takes."""

    lr: float = 3e-4
    schedule: Schedule = Schedule.COSINE
    output: Path = Path.home() / "runs"
    hub_token: str = "hf_" + "x" * 32
    num_memory_tokens: int = 16


metadata = capture(
    hyperparameters=Options(),
    experiment="ablation-7",
    cluster={"queue": "night", "login": "https://me:hunter2@cluster.example/queue"},
)
print(metadata.hyperparameters)
print(metadata.extra)

assert metadata.hyperparameters["schedule"] == "cosine"
assert metadata.hyperparameters["hub_token"] == "***"
assert metadata.hyperparameters["num_memory_tokens"] == 16  # it only sounds secret
assert metadata.hyperparameters["output"] == "~/runs"
assert "hunter2" not in metadata.to_json()
