"""``hfl doctor``: what is wrong with this machine, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import click

from hfl_core.cli import Output, format_option

__all__ = ["doctor"]


@click.command()
@click.option("--profile", metavar="NAME", help="The profile to act as.")
@click.option("--endpoint", metavar="URL", help="The Hub to ask.")
@click.option("--offline", is_flag=True, help="Leave the network alone.")
@format_option
@click.pass_context
def doctor(
    context: click.Context,
    *,
    profile: str | None,
    endpoint: str | None,
    offline: bool,
    output: Output,
) -> None:
    """Check what a training depends on: versions, folders, disk, GPU, token, Hub.

    Each finding comes with its remedy. Tokens are masked and home folders shortened, so that the result can
    be pasted into an issue. The exit code is 1 if there is a problem.

    \b
    Examples:
      hfl doctor
      hfl doctor --offline --format json
    """
    from hf_lifecycle._doctor._examine import examine

    findings = examine(Path.cwd(), profile=profile, endpoint=endpoint, offline=offline)
    columns = {"check": "Check", "state": "State", "found": "Found"}
    output.rows([finding.as_row() for finding in findings], columns)
    for finding in findings:
        if finding.remedy and output.format == "table":
            output.note(f"{finding.check} ({finding.state}): {finding.remedy}")
    if any(finding.state == "problem" for finding in findings):
        context.exit(1)
