"""``hfl repo card|gitattributes|storage|reclaim``."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import click

from hfl_core.cli import Output, format_option, human_bytes
from hfl_repo._cli_common import confirmed, manager, record_of, repo_argument, repo_options, short

__all__ = ["COMMANDS"]


@click.command()
@repo_argument
@click.option("--revision", metavar="REV", help="A branch.  [default: main]")
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
@repo_options
@format_option
def card(
    repo_id: str,
    revision: Optional[str],
    fields: Tuple[str, ...],
    unset: Tuple[str, ...],
    on_conflict: Any,
    output: Output,
    **options: Any,
) -> None:
    """Show a card's metadata, or change fields of it and leave the rest byte for byte.

    \b
    Examples:
      hfl repo card me/digits
      hfl repo card me/digits --set license=mit --set "tags=[digits, vision]"
    """
    repo = manager(repo_id, options)
    if not fields and not unset:
        found = repo.card(revision)
        if output.format == "table":
            output.record(dict(found.metadata))
        else:
            output.record(record_of(found))
        return
    changes = {**dict(_parsed(field) for field in fields), **dict.fromkeys(unset)}
    update = repo.update_card(changes, revision=revision, on_conflict=on_conflict)
    for warning in update.warnings:
        output.warn(warning)
    labels = {"commit": "Commit", "changed": "Changed", "kept": "Kept as on the Hub"}
    output.record(record_of(update), labels=labels, show={"commit": short})


@click.command()
@repo_argument
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option(
    "--file", "files", metavar="PATH", multiple=True, help="A file that has to be covered."
)
@click.option("--revision", metavar="REV", help="A branch.  [default: main]")
@repo_options
@format_option
def gitattributes(
    repo_id: str,
    patterns: Tuple[str, ...],
    files: Tuple[str, ...],
    revision: Optional[str],
    output: Output,
    **options: Any,
) -> None:
    """Make the Hub keep files as large files (git-lfs); lines that are there stay.

    \b
    Example:
      hfl repo gitattributes me/digits "*.arrow" --file state/optimizer.dat
    """
    if not patterns and not files:
        raise click.UsageError("Name a pattern, or a file with --file.")
    repo = manager(repo_id, options)
    update = repo.set_gitattributes(patterns, files=files, revision=revision)
    output.record(
        record_of(update), labels={"commit": "Commit", "added": "Added"}, show={"commit": short}
    )


@click.command()
@repo_argument
@click.option("--files", "with_files", is_flag=True, help="List the large files one by one.")
@repo_options
@format_option
def storage(repo_id: str, with_files: bool, output: Output, **options: Any) -> None:
    """Show what uses how much storage, and what nothing shows any more.

    \b
    Examples:
      hfl repo storage me/digits
      hfl repo storage me/digits --files --format csv
    """
    report = manager(repo_id, options).storage()
    size = {"bytes": human_bytes, "exclusive_bytes": human_bytes, "size": human_bytes}
    if with_files:
        columns = {"path": "File", "size": "Size", "refs": "Shown by", "sha256": "Digest"}
        rows = [record_of(file) for file in report.files]
        output.rows(rows, columns, show={**size, "sha256": short}, empty="No large files.")
        return
    columns = {"ref": "Name", "kind": "Kind", "files": "Files", "bytes": "Size",
               "exclusive_bytes": "Only there"}  # fmt: skip
    output.rows([record_of(ref) for ref in report.by_ref], columns, show=size)
    if report.unreferenced:
        what = f"{human_bytes(report.unreferenced_bytes)} of it ({len(report.unreferenced)} files)"
        unseen = f"nothing shows {what}. Free it with: hfl repo reclaim {repo_id}"
    else:
        unseen = "there is nothing to free."
    output.note(f"{human_bytes(report.bytes)} in all; {unseen}")


@click.command()
@repo_argument
@click.option("--branch", "branches", metavar="NAME", multiple=True, help="Squash only this one.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for the name again.")
@repo_options
@format_option
def reclaim(
    repo_id: str,
    branches: Tuple[str, ...],
    dry_run: bool,
    yes: bool,
    output: Output,
    **options: Any,
) -> None:
    """Free the storage of large files that no branch, tag or pull request shows any more.

    Histories that hold such files become one commit; then the files are deleted for good.

    \b
    Examples:
      hfl repo reclaim me/digits --dry-run
      hfl repo reclaim me/digits --branch checkpoints
    """
    repo = manager(repo_id, options)
    allowed = branches or None
    report = repo.reclaim(plan_only=True, branches=allowed)
    if not dry_run and report.delete:
        output.note(
            f"This squashes the history of {', '.join(report.squash) or 'no branch'} and deletes"
            f" {len(report.delete)} files ({human_bytes(report.freed_bytes)})."
        )
        name = confirmed(repo, "change", yes=yes)
        report = repo.reclaim(plan_only=False, branches=allowed, confirm=name)
    elif not report.delete:
        output.note("There is nothing to free.")
    record = {**record_of(report), "freed_bytes": report.freed_bytes}
    labels = {"is_done": "Done", "squash": "Squashed", "freed_bytes": "Freed"}
    if not report.is_done:
        labels = {"is_done": "Done", "squash": "To be squashed", "freed_bytes": "To be freed"}
    output.record(record, labels=labels, show={"freed_bytes": human_bytes})


def _parsed(field: str) -> Tuple[str, Any]:
    import yaml

    from hfl_repo._card._yaml import read

    name, equals, text = field.partition("=")
    if not equals or not name.strip():
        raise click.UsageError(f"--set takes FIELD=VALUE, and {field!r} is none.")
    try:
        return name.strip(), read(text)
    except (yaml.YAMLError, ValueError) as error:
        raise click.UsageError(f"The value of {name.strip()!r} is not YAML: {text}") from error


COMMANDS = (card, gitattributes, storage, reclaim)
