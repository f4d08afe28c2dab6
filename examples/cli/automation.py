"""A night's work from a script: look at all runs, verify, clean up, publish, report. Nothing is asked.

    python examples/cli/automation.py

It makes two runs and a Hub of its own here. What it does with `hfl`, a shell script or a scheduler can do as well: data comes
as JSON on stdout, the exit status says what went wrong, and `--yes` answers what a person would be asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from hfl_checkpoint import CheckpointManager
from hfl_localhub import LocalHub

NETWORK = 7  # the table of exit statuses is in docs/cli/scripting.md


def hfl(*arguments: str) -> Any:
    """Run a command, and return what it found."""
    done = subprocess.run(
        [sys.executable, "-m", "hfl_cli", *arguments, "--format", "json"],
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def train(directory: str, offset: float) -> None:
    """Stand in for a training: six checkpoints, the fourth of which is the best."""
    model = torch.nn.Linear(8, 8)
    with CheckpointManager(directory, background=False) as checkpoints:
        for step in range(100, 700, 100):
            loss = offset + abs(step - 400) / 1000
            checkpoints.save(step, model=model, metrics={"eval_loss": loss})


for name, offset in (("baseline", 0.5), ("wider", 0.3)):
    train(f"runs/{name}", offset)

with LocalHub("hub") as hub:
    os.environ.update(hub.environment(hub.create_user("ann")))
    best: dict[str, float] = {}
    for run in hfl("status", "runs", "--offline")["runs"]:
        directory = run["path"]
        damaged = [row for row in hfl("checkpoint", "verify", directory, "--all") if not row["ok"]]
        assert damaged == [], damaged
        decisions = hfl(
            "checkpoint", "clean", directory, "--keep", "last:1 | best:eval_loss", "--yes"
        )
        gone = [row["name"] for row in decisions if row["decision"] == "delete"]
        hfl("checkpoint", "upload", directory, "best:eval_loss", "--to", f"ann/{run['name']}")
        report = hfl("report", directory)
        best[run["name"]] = report["metrics"]["eval_loss"]["min"]["value"]
        print(
            f"{run['name']}: {len(gone)} checkpoints deleted, best eval_loss {best[run['name']]:.3f}"
        )
        Path(f"{run['name']}.json").write_text(json.dumps(report), encoding="utf-8")

    winner = min(best, key=lambda name: best[name])
    hfl(
        "checkpoint",
        "promote",
        f"runs/{winner}",
        "best:eval_loss",
        "--to",
        f"ann/{winner}",
        "--tag",
        "nightly",
    )
    published = hfl("checkpoint", "list", f"hf://ann/{winner}")

# A Hub that is gone is a status of its own: a scheduler tries again later, and does not wake anybody.
gone = subprocess.run(
    [sys.executable, "-m", "hfl_cli", "checkpoint", "list", f"hf://ann/{winner}"],
    stderr=subprocess.PIPE,
    check=False,
)
print(f"{winner} is released; without its Hub the exit status is {gone.returncode}")

assert winner == "wider"
assert [row["step"] for row in published] == [400]
assert sorted(path.name for path in Path("runs/wider").glob("step-*")) == [
    "step-00000400",
    "step-00000600",
]
assert gone.returncode == NETWORK
