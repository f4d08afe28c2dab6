"""``hfl dataset upload|download``."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import click

from hfl_core.cli import Output, format_option, human_bytes
from hfl_datasets._cli_common import dataset_argument, hub_options, manager, record_of, short

__all__ = ["COMMANDS", "parsed_field"]

_LABELS = {
    "commit": "Commit",
    "version": "Version",
    "rows": "Rows",
    "changes": "Changes",
    "bytes_sent": "Sent",
    "bytes_skipped": "There already",
    "is_verified": "Read back",
}


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.argument("repo_id", metavar="DATASET")
@click.option("-m", "--message", metavar="TEXT", help="What it is about.")
@click.option(
    "--version",
    "version_",
    metavar="NAME",
    help="A tag: 1.2.0, 2026.05.01, or major, minor, patch or date for the next one.",
)
@click.option("--key", metavar="COLUMN", multiple=True, help="Says which row is which; repeatable.")
@click.option("--config", default="default", show_default=True, help="The configuration.")
@click.option("--revision", metavar="REV", help="A branch.  [default: main]")
@click.option(
    "--set",
    "fields",
    metavar="FIELD=VALUE",
    multiple=True,
    help="A field of the card, as YAML; repeatable.",
)
@click.option("--citation", metavar="FILE", type=click.Path(exists=True), help="What to cite.")
@click.option("--replace", is_flag=True, help="Splits that are not named go.")
@click.option(
    "--refuse", metavar="RULE", multiple=True, help="A rule that keeps data back; repeatable."
)
@click.option("--no-validate", is_flag=True, help="Do not look at the rows first.")
@click.option("--no-example", is_flag=True, help="Do not try the example of the card.")
@click.option("--no-verify", is_flag=True, help="Do not read the rows back.")
@click.option(
    "--private/--public",
    "private",
    default=None,
    help="What the repository has to be.  [default: either will do]",
)
@click.option("--dry-run", is_flag=True, help="Do everything but send.")
@hub_options
@format_option
def upload(
    sources: Tuple[str, ...],
    repo_id: str,
    key: Tuple[str, ...],
    fields: Tuple[str, ...],
    citation: Optional[str],
    output: Output,
    **given: Any,
) -> None:
    """Publish files as a dataset, or as a new version of one, in one commit.

    A source is a file, a folder, a pattern, or SPLIT=PATH.

    \b
    Examples:
      hfl dataset upload flowers.csv me/flowers
      hfl dataset upload train=a.csv test=b.csv me/flowers --version minor --key id
      hfl dataset upload ./data me/flowers --set license=mit --dry-run
    """
    from pathlib import Path

    report = manager(repo_id, given).upload(
        _source(sources),
        message=given["message"],
        version=given["version_"],
        key=key,
        config=given["config"],
        revision=given["revision"],
        metadata=dict(parsed_field(field) for field in fields),
        citation=Path(citation).read_text("utf-8") if citation else "",
        replace=given["replace"],
        refuse=given["refuse"],
        validate=not given["no_validate"],
        verify=not given["no_verify"],
        example=not given["no_example"],
        private=given["private"],
        dry_run=given["dry_run"],
    )
    for warning in report.warnings:
        output.warn(warning)
    record = record_of(report)
    record["changes"] = {name: str(found) for name, found in report.changes.items()}
    labels = dict(_LABELS, **({"kept": "Left to others"} if report.kept else {}))
    show = {"commit": short, "bytes_sent": human_bytes, "bytes_skipped": human_bytes}
    output.record(record, labels=labels, show=show)
    if report.is_dry_run:
        output.note("Nothing was sent.")


@click.command()
@dataset_argument
@click.argument("split", required=False)
@click.option("--config", metavar="NAME", help="The configuration.  [default: all of them]")
@click.option("--revision", metavar="REV", help="A branch, tag or commit.  [default: main]")
@click.option(
    "--to",
    metavar="FOLDER",
    type=click.Path(file_okay=False),
    help="Where to.  [default: the cache]",
)
@hub_options
@format_option
def download(
    repo_id: str,
    split: Optional[str],
    config: Optional[str],
    revision: Optional[str],
    to: Optional[str],
    output: Output,
    **options: Any,
) -> None:
    """Bring a dataset's files here, and verify each.

    \b
    Examples:
      hfl dataset download me/flowers
      hfl dataset download me/flowers train --revision 1.2.0 --to ./flowers
    """
    folder = manager(repo_id, options).download(split, config=config, revision=revision, to=to)
    output.record({"folder": str(folder)}, labels={"folder": "Folder"})


def _source(sources: Tuple[str, ...]) -> Any:
    named: Dict[str, Any] = {}
    for source in sources:
        split, mark, path = source.partition("=")
        if not mark or not split.isidentifier():
            if len(sources) == 1:
                return source
            raise click.UsageError(f"Of several sources each has a split: train={source}")
        named[split] = path
    return named


def parsed_field(field: str) -> tuple[str, Any]:
    """Take a field of a card and its value apart."""
    import yaml

    name, mark, value = field.partition("=")
    if not mark or not name.strip():
        raise click.UsageError(f"--set takes FIELD=VALUE, not {field!r}.")
    try:
        return name.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise click.UsageError(f"The value of {name!r} is no YAML.") from error


COMMANDS = (upload, download)
