"""Publishing to a Hub that lives for as long as the demo does, and coming back from there."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hf_lifecycle._demo.comparison import compare_runs
from hfl_checkpoint import CheckpointManager
from hfl_core import HflError
from hfl_localhub import LocalHub

_STRANGER = "hf_lifecycle._demo.stranger"
_TRAVELLER = "hf_lifecycle._demo.traveller"
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


@dataclasses.dataclass(frozen=True)
class Arrival:
    """A run that was resumed from a Hub in an empty folder.

    Attributes:
        checkpoint: The checkpoint that it was resumed from.
        step: Its step.
        accuracy: Of the model that was resumed, on the test images.
        identical: Whether every bit of the checkpoint that arrived is the one that was saved.
    """

    checkpoint: str
    step: int
    accuracy: float
    identical: bool


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
        facts = _ask(hub, _STRANGER, str(best.path / "model.safetensors"), repo_id)
    return Publication(repo_id, best.name, **facts)


def resume_elsewhere(run: Path, folder: Path, elsewhere: Path) -> Arrival:
    """Push a run's last checkpoint to a local Hub, and resume from there in an empty folder.

    Args:
        run: The run's directory.
        folder: Where the Hub lives.
        elsewhere: The empty folder; it must not exist yet.

    Returns:
        What arrived there.

    Raises:
        HflError: The program failed.
    """
    with LocalHub(folder) as hub:
        facts = _ask(hub, _TRAVELLER, str(run), f"{_USER}/digits-run", str(elsewhere))
    return Arrival(identical=compare_runs(run, elsewhere).is_identical, **facts)


def _ask(hub: LocalHub, program: str, *arguments: str) -> dict[str, Any]:
    """Run a program that talks to the Hub, and return the facts that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
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
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts
