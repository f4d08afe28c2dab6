"""The stage: one demo from beginning to end, in a folder of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
import time
from pathlib import Path
from typing import Iterator

from hf_lifecycle._demo.conductor import Audience, see_to_the_end, train_with_kills
from hf_lifecycle._demo.process import TrainingProcess
from hf_lifecycle._demo.publication import publish_best, resume_elsewhere
from hf_lifecycle._demo.report import DemoReport, report_on
from hfl_core import ConflictError, MissingExtraError


def perform(
    audience: Audience, *, seed: int, directory: Path | None = None, keep: bool = False
) -> DemoReport:
    """Train with kills, train without, compare, publish to a local Hub, and resume from there.

    Args:
        audience: Who is told what happens.
        seed: Decides the moments of the kills.
        directory: Where the runs go and stay; a temporary folder if None.
        keep: Leave the temporary folder behind.

    Returns:
        The facts.

    Raises:
        MissingExtraError: scikit-learn, which brings the images, is not installed.
        ConflictError: The directory is not empty.
        HflError: A training failed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtraError("the demo", extra="huggingface-lifecycle[demo]")
    began = time.monotonic()
    with _folder(directory, keep=keep) as folder:
        audience.tell(f"Training a small network on 1,797 handwritten digits (seed {seed}).")
        # Beside the other one and not after it: most of the time goes into starting processes,
        # and half of it is saved where there are two cores.
        quiet = folder / "undisturbed"
        with TrainingProcess(quiet, folder / "undisturbed.log") as beside:
            killed = train_with_kills(folder / "killed", folder / "killed.log", seed, audience)
            audience.tell("Arrived. The same training ran beside it undisturbed.")
            undisturbed = see_to_the_end(beside, quiet, audience)
        audience.tell("Publishing the best model to a Hub on this machine, and loading it back.")
        published = publish_best(killed.run, folder / "hub")
        audience.tell("Resuming from that Hub in an empty folder.")
        arrived = resume_elsewhere(killed.run, folder / "hub", folder / "elsewhere")
        return report_on(
            killed,
            undisturbed,
            published,
            arrived,
            seed=seed,
            directory=str(folder) if keep or directory is not None else None,
            seconds=time.monotonic() - began,
        )


@contextlib.contextmanager
def _folder(directory: Path | None, *, keep: bool) -> Iterator[Path]:
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise ConflictError(
                f"The directory {str(directory)!r} is not empty.",
                hint="The demo starts from nothing: name a new directory, or none.",
            )
        yield directory
    elif keep:
        yield Path(tempfile.mkdtemp(prefix="hfl-demo-"))
    else:
        with tempfile.TemporaryDirectory(prefix="hfl-demo-") as temporary:
            yield Path(temporary)
