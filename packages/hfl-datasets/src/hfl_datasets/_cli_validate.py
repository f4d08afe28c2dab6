"""``hfl dataset validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import click

from hfl_core.cli import Output, format_option

__all__ = ["COMMANDS"]

_COLUMNS = {
    "severity": "Severity",
    "rule": "Rule",
    "where": "Where",
    "column": "Column",
    "count": "Count",
    "message": "Found",
    "hint": "To do",
}


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--expect",
    "expectations",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="What has to hold for columns, as JSON or YAML.",
)
@click.option(
    "--refuse", metavar="RULE", multiple=True, help="A rule whose findings are errors; repeatable."
)
@click.option("--ignore", metavar="RULE", multiple=True, help="A rule that is off; repeatable.")
@click.option(
    "--kind",
    metavar="FORMAT",
    help="The format of files whose name does not say it: csv, tsv, json, jsonl, parquet, arrow, text.",
)
@click.option("--delimiter", metavar="MARK", help="What separates the fields of a CSV file.")
@click.option("--encoding", metavar="NAME", help="What text is written in.  [default: UTF-8]")
@format_option
@click.pass_context
def validate(  # noqa: PLR0913, PLR0917  # one for each option
    context: click.Context,
    sources: Tuple[str, ...],
    expectations: Optional[str],
    refuse: Tuple[str, ...],
    ignore: Tuple[str, ...],
    kind: Optional[str],
    delimiter: Optional[str],
    encoding: Optional[str],
    output: Output,
) -> None:
    """Look at data before it is published: schema, names, values, repeated rows, private data.

    A source is a file, a folder, a pattern, or SPLIT=PATH. Ends with status 1 when something is found that keeps the
    data from being published.

    \b
    Examples:
      hfl dataset validate flowers.csv
      hfl dataset validate train=a.csv test=b.csv --refuse email --format json
      hfl dataset validate ./data --expect expectations.yaml
    """
    from hfl_datasets._validate._check import validate_dataset
    from hfl_datasets._validate._expectations import load_expectations

    report = validate_dataset(
        _source(sources),
        expectations=load_expectations(expectations) if expectations else (),
        refuse=refuse,
        ignore=ignore,
        format=kind,
        delimiter="\t" if delimiter == r"\t" else delimiter,
        encoding=encoding,
    )
    if output.format in ("json", "yaml"):
        output.record(report.to_dict())
    else:
        output.rows(
            [{**finding.to_dict(), "where": finding.where or None} for finding in report.findings],
            _COLUMNS,
            empty="Nothing was found.",
        )
    rows = ", ".join(f"{name}: {count:,} rows" for name, count in report.rows.items())
    output.note(f"{rows}. {'Fit' if report.ok else 'Not fit'} to be published.")
    if not report.ok:
        context.exit(1)


def _source(sources: Tuple[str, ...]) -> Any:
    """Take SPLIT=PATH apart; a file whose own name holds "=" is a file."""
    named: Dict[str, str] = {}
    for source in sources:
        split, mark, path = source.partition("=")
        if not mark or "/" in split or Path(source).exists():
            if len(sources) == 1:
                return source
            raise click.UsageError(f"Of several sources each has a split: train={source}")
        if split in named:
            raise click.UsageError(f"Split {split!r} is given twice.")
        named[split] = path
    return named


COMMANDS = (validate,)
