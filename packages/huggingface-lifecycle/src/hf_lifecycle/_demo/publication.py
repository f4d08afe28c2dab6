"""Publishing the best model to a Hub that lives for as long as the demo does."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

from hfl_checkpoint import CheckpointManager
from hfl_core import HflError
from hfl_localhub import LocalHub

_PROGRAM = "hf_lifecycle._demo.stranger"
_USER = "demo"


@dataclasses.dataclass(frozen=True)
class Publication:
    """A model that was published and loaded back.

    Attributes:
        repo_id: Where.
        checkpoint: Which checkpoint's model it is.
        commit: The commit on the Hub.
        bytes: The size of the file.
        identical: Whether what came back are the same bits.
        accuracy: Of the model that came back, on the test images.
    """

    repo_id: str
    checkpoint: str
    commit: str
    bytes: int
    identical: bool
    accuracy: float


def publish_best(run: Path, folder: Path) -> Publication:
    """Push a run's best model to a local Hub, and load it back with the ordinary client.

    Args:
        run: The run's directory.
        folder: Where the Hub lives.

    Returns:
        What was published, and what came back.

    Raises:
        HflError: The client failed.
    """
    best = CheckpointManager(run, background=False).best("eval_loss")
    if best is None:
        raise HflError("No checkpoint of the run has an eval_loss, so none is the best.")
    repo_id = f"{_USER}/digits"
    with LocalHub(folder) as hub:
        done = subprocess.run(
            [sys.executable, "-m", _PROGRAM, str(best.path / "model.safetensors"), repo_id],
            # No token and no cache of the person who runs the demo gets in there.
            env=hub.environment(hub.create_user(_USER)),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        said = " | ".join(done.stderr.strip().splitlines()[-5:]) or "nothing"
        raise HflError(
            f"The client of the local Hub ended with status {done.returncode}. Its last words: {said}",
            hint="Run the demo with --keep to look at the files.",
        )
    return Publication(repo_id, best.name, **json.loads(done.stdout))
