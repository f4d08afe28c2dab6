"""``hfl dataset list|card|versions|diff``."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import click

from hfl_core.cli import Output, format_option
from hfl_datasets._cli_common import dataset_argument, day, hub_options, manager, record_of, short
from hfl_datasets._cli_upload import parsed_field

__all__ = ["COMMANDS"]


@click.command("list")
@click.argument("author", required=False)
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="A tag of all; repeatable.")
@click.option("--limit", type=int, default=100, show_default=True, help="The most to list.")
@hub_options
@format_option
def list_(
    author: Optional[str], tags: Tuple[str, ...], limit: int, output: Output, **options: Any
) -> None:
    """List the datasets of an account or organization; one's own without a name.

    \b
    Example:
      hfl dataset list lab --tag vision
    """
    from hfl_repo import RepoManager

    repos = RepoManager(None, repo_type="dataset", **options)
    found = repos.list(author, tags=tags, limit=limit)
    columns = {
        "repo_id": "Dataset",
        "is_private": "Private",
        "license": "Licence",
        "last_modified": "Changed",
    }
    output.rows([record_of(item) for item in found], columns, show={"last_modified": day})


@click.command()
@dataset_argument
@click.option("--revision", metavar="REV", help="A branch, tag or commit.  [default: main]")
@click.option(
    "--set",
    "fields",
    metavar="FIELD=VALUE",
    multiple=True,
    help="A field and its new value, as YAML; repeatable.",
)
@click.option("--unset", metavar="FIELD", multiple=True, help="A field to take away; repeatable.")
@click.option(
    "--on-conflict",
    type=click.Choice(["error", "ours", "theirs"]),
    default="error",
    show_default=True,
    help="Who wins where somebody changed the same field on the Hub.",
)
@hub_options
@format_option
def card(
    repo_id: str,
    revision: Optional[str],
    fields: Tuple[str, ...],
    unset: Tuple[str, ...],
    on_conflict: str,
    output: Output,
    **options: Any,
) -> None:
    """Show a dataset's card, or change fields of it and leave the rest byte for byte.

    \b
    Examples:
      hfl dataset card me/flowers
      hfl dataset card me/flowers --set license=cc-by-4.0 --set "language=[en]"
    """
    dataset = manager(repo_id, options)
    if not fields and not unset:
        found = dataset.card(revision)
        if output.format == "table":
            click.echo(found.text, nl=False)
        else:
            output.record(record_of(found))
        return
    changes = {**dict(parsed_field(field) for field in fields), **dict.fromkeys(unset)}
    update = dataset.update_card(changes, revision=revision, on_conflict=on_conflict)
    for warning in update.warnings:
        output.warn(warning)
    labels = {"commit": "Commit", "changed": "Changed", "kept": "Kept as on the Hub"}
    output.record(record_of(update), labels=labels, show={"commit": short})


@click.command()
@dataset_argument
@click.option("--revision", metavar="REV", help="Where to start.  [default: main]")
@click.option("--limit", type=int, help="The most to list.  [default: all]")
@hub_options
@format_option
def versions(
    repo_id: str, revision: Optional[str], limit: Optional[int], output: Output, **options: Any
) -> None:
    """List the versions of a dataset, the newest first.

    \b
    Example:
      hfl dataset versions me/flowers --limit 5
    """
    found = manager(repo_id, options).versions(revision=revision, limit=limit)
    rows = [{"version": item.name, **record_of(item)} for item in found]
    columns = {
        "version": "Version",
        "commit": "Commit",
        "created_at": "Made",
        "message": "About",
        "changes": "Changes",
    }
    output.rows(rows, columns, show={"commit": short, "created_at": day})


@click.command()
@dataset_argument
@click.argument("before")
@click.argument("after", required=False)
@hub_options
@format_option
def diff(repo_id: str, before: str, after: Optional[str], output: Output, **options: Any) -> None:
    """Compare two versions: columns, counts of rows, figures that moved.

    \b
    Examples:
      hfl dataset diff me/flowers 1.0.0
      hfl dataset diff me/flowers 1.0.0 1.1.0 --format json
    """
    found = manager(repo_id, options).diff(before, after)
    if output.format in ("json", "yaml"):
        output.record(_plain(found))
        return
    rows = [row for split in found.splits for row in _rows(split)]
    columns = {
        "split": "Split",
        "column": "Column",
        "what": "What",
        "before": "Before",
        "after": "After",
    }
    output.rows(rows, columns)
    if found.is_same:
        output.note("Both hold the same rows.")


def _rows(split: Any) -> list[dict[str, Any]]:
    def row(column: str, what: str, before: Any, after: Any) -> dict[str, Any]:
        return {
            "split": split.split,
            "column": column,
            "what": what,
            "before": before,
            "after": after,
        }

    rows = []
    if split.rows_before != split.rows_after or split.is_same is False:
        rows.append(row("", "rows", split.rows_before, split.rows_after))
    rows += [row(name, "added", None, kind) for name, kind in split.added.items()]
    rows += [row(name, "removed", kind, None) for name, kind in split.removed.items()]
    rows += [row(name, "type", old, new) for name, (old, new) in split.retyped.items()]
    rows += [row(each.column, each.figure, each.before, each.after) for each in split.drift]
    return rows


def _plain(found: Any) -> dict[str, Any]:
    import dataclasses

    return {**dataclasses.asdict(found), "is_same": found.is_same}


COMMANDS = (list_, card, versions, diff)
