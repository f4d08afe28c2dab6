"""``hfl checkpoint verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict

import click

from hfl_checkpoint._cli_common import open_catalog, run_argument, which_of
from hfl_core.cli import Output, format_option

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import VerifyReport
    from hfl_checkpoint._verify import Level

__all__ = ["COMMANDS"]


@click.command()
@run_argument
@click.argument("which", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Verify all checkpoints of the run.")
@click.option(
    "--level",
    type=click.Choice(["quick", "full"]),
    default="full",
    show_default=True,
    help="quick: presence, sizes and headers. full: every byte.",
)
@format_option
@click.pass_context
def verify(
    context: click.Context,
    run: str,
    which: tuple[str, ...],
    every: bool,
    level: Level,
    output: Output,
) -> None:
    """Verify checkpoints of RUN, and name what is damaged.

    WHICH names one or more, as for 'show'; without it, the latest is verified. Ends with status 5
    when something is damaged.

    \b
    Examples:
      hfl checkpoint verify runs/digits
      hfl checkpoint verify runs/digits --all --level quick
      hfl checkpoint verify runs/digits 500 best:eval_loss
    """
    catalog = open_catalog(run)
    reports: Dict[str, VerifyReport] = {}
    if every or not which:
        found = catalog.verify_all(level) if every else catalog.verify_unreadable(level)
        reports = {report.name: report for report in found}
    for item in which or (() if reports else ("latest",)):
        report = catalog.verify(which_of(item), level)
        reports[report.name] = report
    output.rows(
        [
            {
                "name": report.name,
                "ok": report.ok,
                "level": report.level,
                "problems": [str(problem) for problem in report.problems],
            }
            for report in reports.values()
        ],
        {"name": "Name", "ok": "Intact", "level": "Level", "problems": "Problems"},
        show={"ok": lambda ok: "yes" if ok else "NO", "problems": "; ".join},
    )
    if not all(report.ok for report in reports.values()):
        context.exit(5)


COMMANDS = {"verify": verify}
