"""``hfl metadata diff``."""

from __future__ import annotations

import dataclasses

import click

from hfl_core.cli import Output, format_option

__all__ = ["COMMANDS"]


@click.command()
@click.argument("before", type=click.Path())
@click.argument("after", type=click.Path())
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also what no two runs have in common: times, durations, ranks, the scheduler's numbers.",
)
@format_option
def diff(before: str, after: str, everything: bool, output: Output) -> None:
    """Show in what two runs differ: code, packages, machine, model, data, hyperparameters.

    BEFORE and AFTER are as PATH is for 'show'.

    \b
    Examples:
      hfl metadata diff runs/monday runs/tuesday
      hfl metadata diff runs/digits/step-00000500 runs/digits/step-00001000 --all
      hfl metadata diff a/metadata.json b/metadata.json --format json
    """
    from hfl_metadata._diff import MetadataChange, show_value
    from hfl_metadata._find import read_metadata

    found = read_metadata(before).diff(read_metadata(after), everything=everything)
    columns = {field.name: field.name for field in dataclasses.fields(MetadataChange)}
    if output.format == "table":
        columns = {name: name.capitalize() for name in ("path", "before", "after")}
    output.rows(
        [dataclasses.asdict(change) for change in found],
        columns,
        show={"before": show_value, "after": show_value},
        empty="Nothing differs.",
    )


COMMANDS = {"diff": diff}
