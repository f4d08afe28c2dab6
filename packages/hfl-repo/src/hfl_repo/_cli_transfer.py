"""``hfl repo upload|download|diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Sequence, Tuple, TypeVar

import click

from hfl_core.cli import Output, format_option, human_bytes
from hfl_repo._cli_common import manager, record_of, repo_argument, repo_options, short

if TYPE_CHECKING:
    from hfl_repo._transfer._change import Change

__all__ = ["COMMANDS"]

_F = TypeVar("_F", bound=Callable[..., Any])
_COLUMNS = {"kind": "Change", "path": "File", "size": "Size", "copied_from": "Copied from"}
_LABELS = {
    "commit": "Commit",
    "pull_request": "Pull request",
    "files": "Files changed",
    "bytes_sent": "Sent",
    "bytes_copied": "Copied on the Hub",
    "bytes_skipped": "There already",
    "retries": "Tried again",
    "card_problems": "Card left out",
    "ignored": "Ignored there",
    "kept": "Left to others",
}
_ALWAYS = ("commit", "files", "bytes_sent", "bytes_copied", "bytes_skipped")


def _selection(function: _F) -> _F:
    """Add the options that say which files are meant."""
    for option in (
        click.option(
            "--delete",
            is_flag=True,
            help="Also what is not here: files of the folder in the repository go.",
        ),
        click.option(
            "--exclude", metavar="PATTERN", multiple=True, help="What is not taken; repeatable."
        ),
        click.option(
            "--include",
            metavar="PATTERN",
            multiple=True,
            help="What is taken, as in a .gitignore; repeatable.  [default: everything]",
        ),
    ):
        function = option(function)
    return function


@click.command()
@repo_argument
@click.argument("path", type=click.Path(), default=".")
@click.argument("path_in_repo", required=False)
@click.option("--revision", metavar="REV", help="A branch.  [default: main]")
@click.option("--create-branch", is_flag=True, help="Create the branch if it is not there.")
@click.option("--pr", "create_pr", is_flag=True, help="Open a pull request instead.")
@click.option("-m", "--message", metavar="TEXT", help="The commit's message.")
@_selection
@click.option(
    "--allow",
    metavar="NAME",
    multiple=True,
    help="What the gate lets through: PATH:KIND, PATH or KIND; repeatable.",
)
@click.option(
    "--private/--public",
    "private",
    default=None,
    help="What the repository has to be.  [default: either will do]",
)
@click.option(
    "--on-conflict",
    type=click.Choice(["error", "ours", "theirs"]),
    default="error",
    show_default=True,
    help="Who wins where somebody changes the same files meanwhile.",
)
@click.option(
    "--timeout", metavar="SECONDS", type=float, help="For all of it.  [default: no limit]"
)
@click.option("--dry-run", is_flag=True, help="Only say what would be changed; send nothing.")
@repo_options
@format_option
def upload(
    repo_id: str,
    path: str,
    path_in_repo: Optional[str],
    dry_run: bool,
    output: Output,
    **given: Any,
) -> None:
    """Bring a file or a folder into a repository, in one commit.

    Only what differs is sent. It can be interrupted and started again: what has arrived is not
    sent again. Secrets, paths of this machine and broken files are refused before that.

    \b
    Examples:
      hfl repo upload me/digits ./model
      hfl repo upload me/digits ./model --dry-run
      hfl repo upload me/digits results.csv data/results.csv -m "Add results"
    """
    repo, options = _split(repo_id, given)
    report = repo.upload(path, path_in_repo, dry_run=dry_run, **options)
    for problem in report.card_problems:
        output.warn(f"README.md was left out: {problem}")
    if dry_run:
        _show_changes(output, report.files)
        return
    record = record_of(report)
    if output.format != "table":
        record["files"] = [record_of(change) for change in report.files]
        output.record(record)
        return
    if report.is_empty:
        output.note("Nothing to change: no commit was made.")
    labels = {name: text for name, text in _LABELS.items() if name in _ALWAYS or record[name]}
    sizes = ("bytes_sent", "bytes_copied", "bytes_skipped")
    show: dict[str, Callable[[Any], str]] = dict.fromkeys(sizes, human_bytes)
    output.record(
        {**record, "files": len(report.files)}, labels=labels, show={**show, "commit": short}
    )


@click.command()
@repo_argument
@click.argument("files", nargs=-1, metavar="[FILE|PATTERN]...")
@click.option("--revision", metavar="REV", help="A branch, tag or commit.  [default: main]")
@click.option(
    "--to",
    type=click.Path(),
    help="A folder to copy the files to.  [default: only into the cache]",
)
@click.option(
    "--timeout", metavar="SECONDS", type=float, help="For all of it.  [default: no limit]"
)
@repo_options
@format_option
def download(
    repo_id: str,
    files: Tuple[str, ...],
    revision: Optional[str],
    to: Optional[str],
    timeout: Optional[float],
    output: Output,
    **options: Any,
) -> None:
    """Bring files of a repository here, each verified by its digest; say where they are.

    \b
    Examples:
      hfl repo download me/digits
      hfl repo download me/digits "*.safetensors" config.json --to ./model
    """
    repo = manager(repo_id, options)
    folder = repo.download(files or None, revision, to=to, timeout=timeout)
    output.record({"path": str(folder)}, labels={"path": "Folder"})


@click.command()
@repo_argument
@click.argument("path", type=click.Path(), default=".")
@click.argument("path_in_repo", required=False)
@click.option("--revision", metavar="REV", help="A branch, tag or commit.  [default: main]")
@_selection
@repo_options
@format_option
def diff(
    repo_id: str, path: str, path_in_repo: Optional[str], output: Output, **given: Any
) -> None:  # fmt: skip
    """Compare a file or a folder with a repository, by content.

    \b
    Example:
      hfl repo diff me/digits ./model --delete
    """
    repo, options = _split(repo_id, given)
    _show_changes(output, repo.diff(path, path_in_repo, **options))


def _split(repo_id: str, given: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Make the manager, and return what else was asked for as it is called in Python."""
    rest = dict(given)
    repo = manager(repo_id, {name: rest.pop(name) for name in ("repo_type", "profile", "endpoint")})
    for name in ("include", "exclude"):
        rest[name] = rest[name] or None
    return repo, rest


def _show_changes(output: Output, changes: Sequence[Change]) -> None:
    output.rows(
        [record_of(change) for change in changes],
        _COLUMNS,
        show={"size": human_bytes},
        empty="There is no difference.",
    )


COMMANDS = (upload, download, diff)
