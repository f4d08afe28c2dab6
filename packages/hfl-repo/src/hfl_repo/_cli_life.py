"""``hfl repo create|list|search|info|delete|archive|move|permissions``."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import click

from hfl_core.cli import Output, format_option
from hfl_repo._cli_common import (
    confirmed,
    day,
    manager,
    record_of,
    repo_argument,
    repo_options,
    show_info,
)

__all__ = ["COMMANDS"]

_SORTS = ["last_modified", "created_at", "downloads", "likes", "trending"]


@click.command()
@repo_argument
@click.option(
    "--private/--public", default=None, help="What it has to be.  [default: the account's]"
)
@click.option(
    "--on-conflict",
    type=click.Choice(["reuse", "fail", "rename"]),
    default="reuse",
    show_default=True,
    help="What happens if one of that name exists.",
)
@click.option("--license", "license_id", metavar="ID", help="The licence, for the card: mit.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="A tag for the card; repeatable.")
@click.option("--sdk", "space_sdk", metavar="SDK", help="For a space: gradio, docker, static.")
@repo_options
@format_option
def create(
    repo_id: str,
    private: Optional[bool],
    on_conflict: Any,
    license_id: Optional[str],
    tags: Tuple[str, ...],
    space_sdk: Optional[str],
    output: Output,
    **options: Any,
) -> None:
    """Create a repository, or take the one that is there.

    One that is there is taken only if its visibility is what was asked for.

    \b
    Examples:
      hfl repo create digits --private --license mit
      hfl repo create lab/digits --type dataset --on-conflict fail
    """
    found = manager(repo_id, options).create(
        private, on_conflict, license=license_id, tags=tags or None, space_sdk=space_sdk
    )
    show_info(output, found)


def _filters(function: Any) -> Any:
    for option in (
        click.option(
            "--limit", type=click.IntRange(1), default=50, show_default=True, help="At most."
        ),
        click.option("--license", "license_id", metavar="ID", help="Only those of this licence."),
        click.option(
            "--tag", "tags", metavar="TAG", multiple=True, help="Only those with this tag."
        ),
    ):
        function = option(function)
    return function


@click.command("list")
@click.argument("author", required=False)
@_filters
@click.option(
    "--sort", type=click.Choice(_SORTS), default="last_modified", show_default=True, help="By what."
)
@repo_options
@format_option
def list_(
    author: Optional[str],
    tags: Tuple[str, ...],
    license_id: Optional[str],
    sort: Any,
    limit: int,
    output: Output,
    **options: Any,
) -> None:
    """List the repositories of an account or organization; without a name, one's own.

    \b
    Examples:
      hfl repo list
      hfl repo list lab --type dataset --format json
    """
    found = manager(None, options).list(
        author, tags=tags, license=license_id, sort=sort, limit=limit
    )
    _show_rows(output, found)


@click.command()
@click.argument("query")
@click.option("--author", metavar="NAME", help="Only those of this account or organization.")
@_filters
@click.option(
    "--sort", type=click.Choice(_SORTS), default="downloads", show_default=True, help="By what."
)
@repo_options
@format_option
def search(
    query: str,
    author: Optional[str],
    tags: Tuple[str, ...],
    license_id: Optional[str],
    sort: Any,
    limit: int,
    output: Output,
    **options: Any,
) -> None:
    """Search the whole Hub by name.

    \b
    Example:
      hfl repo search digits --license mit --limit 10
    """
    found = manager(None, options).search(
        query, author=author, tags=tags, license=license_id, sort=sort, limit=limit
    )
    _show_rows(output, found)


@click.command()
@repo_argument
@click.option("--revision", metavar="REV", help="A branch, a tag or a commit.")
@repo_options
@format_option
def info(repo_id: str, revision: Optional[str], output: Output, **options: Any) -> None:
    """Show what the Hub says about a repository.

    \b
    Example:
      hfl repo info me/digits --format json
    """
    show_info(output, manager(repo_id, options).info(revision))


@click.command()
@repo_argument
@click.option("--missing-ok", is_flag=True, help="It is fine that there is none.")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for the name again.")
@repo_options
def delete(repo_id: str, missing_ok: bool, dry_run: bool, yes: bool, **options: Any) -> None:
    """Delete a repository with everything in it, for good.

    \b
    Examples:
      hfl repo delete me/old --dry-run
      hfl repo delete me/old
    """
    output = Output()
    repo = manager(repo_id, options)
    if not repo.exists() and missing_ok:
        output.note(f"There is no '{repo.repo_id}'.")
        return
    if dry_run:
        found = repo.info()
        output.note(f"Would delete '{found.repo_id}' ({found.url}) with its whole history.")
        return
    repo.delete(confirm=confirmed(repo, "delete", yes=yes), missing_ok=missing_ok)
    output.note(f"Deleted '{repo.repo_id}'.")


@click.command()
@repo_argument
@click.option("--undo", is_flag=True, help="Bring it back, with the visibility that it had.")
@repo_options
@format_option
def archive(repo_id: str, undo: bool, output: Output, **options: Any) -> None:
    """Put a repository away: private, marked in its card, and not written to any more.

    \b
    Examples:
      hfl repo archive me/old
      hfl repo archive me/old --undo
    """
    repo = manager(repo_id, options)
    show_info(output, repo.unarchive() if undo else repo.archive())


@click.command()
@repo_argument
@click.argument("new_id", metavar="NEW")
@repo_options
@format_option
def move(repo_id: str, new_id: str, output: Output, **options: Any) -> None:
    """Give a repository another name; the old one leads there.

    \b
    Example:
      hfl repo move me/draft lab/digits
    """
    show_info(output, manager(repo_id, options).move(new_id))


@click.command()
@repo_argument
@repo_options
@format_option
def permissions(repo_id: str, output: Output, **options: Any) -> None:
    """Show what the account may do with a repository, and why.

    \b
    Example:
      hfl repo permissions lab/digits
    """
    found = manager(repo_id, options).permissions()
    labels = {"read": "Read", "write": "Write", "admin": "Administer", "reason": "Because"}
    output.record(record_of(found), labels=labels)


def _show_rows(output: Output, found: Any) -> None:
    columns = {
        "repo_id": "Repository",
        "is_private": "Private",
        "license": "Licence",
        "downloads": "Downloads",
        "last_modified": "Changed",
    }
    rows = [record_of(each) for each in found]
    output.rows(rows, columns, show={"last_modified": day}, empty="There is none.")


COMMANDS = (create, list_, search, info, delete, archive, move, permissions)
