"""``hfl repo branch|tag|history``."""

from __future__ import annotations

from typing import Any, Optional

import click

from hfl_core.cli import Output, format_option
from hfl_repo._cli_common import ask, day, manager, record_of, repo_argument, repo_options, short

__all__ = ["COMMANDS"]


@click.group()
def branch() -> None:
    """List, create and delete branches."""


@branch.command("list")
@repo_argument
@repo_options
@format_option
def list_branches(repo_id: str, output: Output, **options: Any) -> None:
    """List the branches of a repository.

    \b
    Example:
      hfl repo branch list me/digits
    """
    _show(output, manager(repo_id, options).list_branches())


@branch.command("create")
@repo_argument
@click.argument("name")
@click.option("--from", "revision", metavar="REV", help="Where it starts.  [default: main]")
@click.option("--exist-ok", is_flag=True, help="One that is elsewhere is fine, and stays there.")
@repo_options
@format_option
def create_branch(
    repo_id: str, name: str, revision: Optional[str], exist_ok: bool, output: Output, **options: Any
) -> None:
    """Create a branch. One that is there already, at the same commit, is fine.

    \b
    Example:
      hfl repo branch create me/digits experiments/lr-3e-4 --from v1.0
    """
    _show(output, [manager(repo_id, options).create_branch(name, revision, exist_ok=exist_ok)])


@branch.command("delete")
@repo_argument
@click.argument("name")
@click.option("--missing-ok", is_flag=True, help="It is fine that there is none.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@repo_options
def delete_branch(repo_id: str, name: str, missing_ok: bool, yes: bool, **options: Any) -> None:
    """Delete a branch.

    \b
    Example:
      hfl repo branch delete me/digits experiments/lr-3e-4
    """
    repo = manager(repo_id, options)
    _ask(f"Delete the branch '{name}' of '{repo.repo_id}'?", yes=yes)
    repo.delete_branch(name, missing_ok=missing_ok)


@click.group()
def tag() -> None:
    """List, create and delete tags."""


@tag.command("list")
@repo_argument
@repo_options
@format_option
def list_tags(repo_id: str, output: Output, **options: Any) -> None:
    """List the tags of a repository.

    \b
    Example:
      hfl repo tag list me/digits
    """
    _show(output, manager(repo_id, options).list_tags())


@tag.command("create")
@repo_argument
@click.argument("name")
@click.option("--at", "revision", metavar="REV", help="What it marks.  [default: main]")
@click.option("--message", help="What it is about.")
@click.option("--exist-ok", is_flag=True, help="One at another commit is fine, and stays there.")
@repo_options
@format_option
def create_tag(
    repo_id: str,
    name: str,
    revision: Optional[str],
    message: Optional[str],
    exist_ok: bool,
    output: Output,
    **options: Any,
) -> None:
    """Create a tag. One that is there already, at the same commit, is fine.

    \b
    Example:
      hfl repo tag create me/digits v1.0 --message "First release"
    """
    repo = manager(repo_id, options)
    _show(output, [repo.create_tag(name, revision, message=message, exist_ok=exist_ok)])


@tag.command("delete")
@repo_argument
@click.argument("name")
@click.option("--missing-ok", is_flag=True, help="It is fine that there is none.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@repo_options
def delete_tag(repo_id: str, name: str, missing_ok: bool, yes: bool, **options: Any) -> None:
    """Delete a tag.

    \b
    Example:
      hfl repo tag delete me/digits v1.0
    """
    repo = manager(repo_id, options)
    _ask(f"Delete the tag '{name}' of '{repo.repo_id}'?", yes=yes)
    repo.delete_tag(name, missing_ok=missing_ok)


@click.command()
@repo_argument
@click.option("--revision", metavar="REV", help="Where to start.  [default: main]")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most.")
@repo_options
@format_option
def history(
    repo_id: str, revision: Optional[str], limit: int, output: Output, **options: Any
) -> None:
    """Show the commits of a repository, newest first.

    \b
    Example:
      hfl repo history me/digits --revision checkpoints --limit 5
    """
    commits = manager(repo_id, options).history(revision, limit=limit)
    columns = {"id": "Commit", "created_at": "Made", "authors": "By", "title": "Message"}
    rows = [record_of(commit) for commit in commits]
    output.rows(rows, columns, show={"id": short, "created_at": day})


def _show(output: Output, refs: Any) -> None:
    rows = [record_of(ref) for ref in refs]
    columns = {"name": "Name", "commit": "Commit"}
    output.rows(rows, columns, show={"commit": short}, empty="There is none.")


def _ask(question: str, *, yes: bool) -> None:
    if not yes and ask(f"{question} [y/N]: ").lower() not in {"y", "yes"}:
        raise click.Abort


COMMANDS = (branch, tag, history)
