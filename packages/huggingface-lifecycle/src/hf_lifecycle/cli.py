"""The commands that need all packages: ``hfl init``, ``config``, ``doctor``, ``status`` and ``demo``."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from hf_lifecycle._cli_config import config
from hf_lifecycle._cli_doctor import doctor
from hf_lifecycle._cli_init import init
from hf_lifecycle._cli_report import report
from hf_lifecycle._cli_status import status
from hfl_core.cli import Output, format_option, main_for

__all__ = ["config", "demo", "doctor", "init", "main", "report", "status"]


@click.command(short_help="Kill a training, resume it, compare every bit.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where both runs go and stay. Without it they are temporary.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Repeats the moments of the kills; random without it.",
)
@click.option("--keep", is_flag=True, help="Leave the temporary runs behind.")
@format_option
def demo(*, directory: Path | None, seed: int | None, keep: bool, output: Output) -> None:
    """Kill a training run, resume it, and prove that nothing was lost.

    A small network learns 1,797 handwritten digits in a process that is killed three times: twice
    in the middle of an epoch and once in the middle of a save. Each time it starts again and goes
    on. The same training runs beside it undisturbed, and in the end the two final checkpoints are
    compared bit by bit. Then the best model is published to a Hub that runs on this machine, and
    loaded back with the ordinary client, and the run is resumed from there in an empty folder. The
    exit code says whether all bits are the same.

    \b
    Examples:
      hfl demo
      hfl demo --seed 7 --directory proof
    """
    from hf_lifecycle._demo.report import require_identical, show
    from hf_lifecycle._demo.spectator import Spectator
    from hf_lifecycle._demo.stage import perform

    with Spectator(output) as spectator:
        result = perform(
            spectator,
            seed=secrets.randbelow(2**31) if seed is None else seed,
            directory=directory,
            keep=keep,
        )
    show(result, output)
    require_identical(result)


main = main_for(demo)

if __name__ == "__main__":
    main()
