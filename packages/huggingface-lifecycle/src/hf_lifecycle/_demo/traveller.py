"""Publish a run's last checkpoint to a Hub, and resume from it in an empty folder.

The demo runs this in a process whose environment points to a local Hub::

    python -m hf_lifecycle._demo.traveller RUN OWNER/NAME EMPTY_FOLDER

It prints one JSON object.
"""

from __future__ import annotations

import json
import sys

import hf_lifecycle as hfl
from hf_lifecycle._demo.train import build_model, evaluate, load_data


def travel(run: str, repo_id: str, elsewhere: str) -> None:
    """Push from the one folder, resume in the other, and see what the model in it is worth.

    Args:
        run: The directory of the run.
        repo_id: Where to publish it.
        elsewhere: A folder that does not exist yet.
    """
    with hfl.CheckpointManager(run, hub=repo_id) as checkpoints:
        checkpoints.push("latest")
    model = build_model()
    with hfl.CheckpointManager(elsewhere, hub=repo_id) as checkpoints:
        report = checkpoints.resume(model=model)
        if report is None:
            raise hfl.HflError(f"Nothing of {repo_id!r} arrived.")
    facts = {
        "checkpoint": report.checkpoint.name,
        "step": report.checkpoint.step,
        "accuracy": evaluate(model, load_data().test)[1],
    }
    print(json.dumps(facts), flush=True)  # noqa: T201  # a program, not a library


if __name__ == "__main__":
    travel(*sys.argv[1:])
