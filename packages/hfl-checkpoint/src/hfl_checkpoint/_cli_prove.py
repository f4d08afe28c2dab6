"""``hfl checkpoint prove``."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Tuple

import click

from hfl_core.cli import Output, format_option, human_bytes

__all__ = ["COMMANDS"]

_SHOWN = 3


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--kills", type=click.IntRange(1), default=2, show_default=True, help="How often it is killed."
)
@click.option("--seed", type=int, help="Repeats the moments of the kills; random without it.")
@click.option(
    "--ignore", metavar="COMPONENT", multiple=True, help="Need not be the same; repeatable."
)
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="For each run.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the runs go and stay. Without it they are temporary.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@format_option
@click.pass_context
def prove(
    context: click.Context,
    *,
    kills: int,
    seed: int | None,
    ignore: Tuple[str, ...],
    timeout: float | None,
    directory: Path | None,
    command: Tuple[str, ...],
    output: Output,
) -> None:
    """Prove that a training resumes exactly: kill it, let it go on, and compare every bit.

    COMMAND is run once undisturbed, and once more with kills (SIGKILL) at moments between its checkpoints,
    after each of which it is started again. {run} in it stands for the directory of its checkpoints, which
    is in the environment as HFL_RUN, too. Then the last checkpoints are compared, component by component,
    by digest. Ends with status 1 if they differ.

    \b
    Examples:
      hfl checkpoint prove -- python train.py --output {run}
      hfl checkpoint prove --kills 5 --seed 1 -- torchrun --nproc-per-node 2 train.py {run}
    """
    from hfl_checkpoint._prove import VOLATILE, prove

    chosen = secrets.randbelow(2**31) if seed is None else seed
    place = directory or Path(tempfile.mkdtemp(prefix="hfl-prove-"))
    proof = prove(
        command,
        place,
        kills=kills,
        seed=chosen,
        ignore=(*VOLATILE, *ignore),
        timeout=timeout,
        say=output.note,
    )
    if directory is None:  # after an error it stays: it holds what the training said
        shutil.rmtree(place, ignore_errors=True)
    rows = [
        {
            "component": part.name,
            "bytes": part.bytes,
            "identical": not part.differences,
            "differences": list(part.differences),
        }
        for part in proof.parts
    ]
    if output.format in ("json", "yaml"):
        output.record(
            {
                "holds": proof.holds,
                "step": proof.step,
                "seed": chosen,
                "kills": list(proof.kills),
                "problems": list(proof.problems),
                "is_repeatable": proof.is_repeatable,
                "components": rows,
            }
        )
    else:
        output.rows(
            rows,
            {
                "component": "Component",
                "bytes": "Size",
                "identical": "Identical",
                "differences": "Differs",
            },
            show={"bytes": human_bytes, "differences": _brief},
        )
    if proof.holds:
        times = "1 kill" if kills == 1 else f"{kills} kills"
        output.note(f"Step {proof.step} is the same, bit by bit, after {times} (seed {chosen}).")
        return
    for problem in proof.problems:
        output.warn(problem)
    output.warn(
        "Two undisturbed runs differ as well: seed the training, and look for what is not deterministic."
        if proof.is_repeatable is False
        else f"Two undisturbed runs are the same, the killed one is not: it does not resume exactly (seed {chosen})."
    )
    context.exit(1)


def _brief(differences: list[str]) -> str:
    rest = len(differences) - _SHOWN
    return "; ".join(differences[:_SHOWN]) + (f"; {rest} more" if rest > 0 else "")


COMMANDS = {"prove": prove}
