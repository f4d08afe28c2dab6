"""What the commands of ``hfl repo`` share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, TypeVar

import click

if TYPE_CHECKING:
    from hfl_core.cli import Output
    from hfl_repo._info import RepoInfo
    from hfl_repo._manager import RepoManager

__all__ = [
    "ask",
    "confirmed",
    "day",
    "manager",
    "repo_argument",
    "repo_options",
    "short",
    "show_info",
]

_F = TypeVar("_F", bound=Callable[..., Any])
INFO_LABELS = {
    "repo_id": "Repository",
    "repo_type": "Type",
    "url": "Page",
    "is_private": "Private",
    "is_archived": "Archived",
    "license": "Licence",
    "tags": "Tags",
    "sha": "Commit",
    "last_modified": "Changed",
}


def repo_argument(function: _F) -> _F:
    """Add the argument that names the repository."""
    return click.argument("repo_id", metavar="REPO")(function)


def repo_options(function: _F) -> _F:
    """Add the options that say which kind of repository, on which Hub, as whom."""
    for option in (
        click.option("--endpoint", metavar="URL", help="The Hub; see `hfl auth explain`."),
        click.option("--profile", metavar="NAME", help="The profile; see `hfl auth list`."),
        click.option(
            "--type",
            "repo_type",
            type=click.Choice(["model", "dataset", "space"]),
            default="model",
            show_default=True,
            help="What it holds.",
        ),
    ):
        function = option(function)
    return function


def manager(repo_id: Optional[str], options: Mapping[str, Any]) -> RepoManager:
    """Make the manager that the options ask for."""
    from hfl_repo._manager import RepoManager

    return RepoManager(repo_id, **options)


def confirmed(repo: RepoManager, what: str, *, yes: bool) -> str:
    """Let a person type the name again; with `--yes` the name that was given counts.

    Args:
        repo: The repository.
        what: What is going to happen, as in ``"delete"``.
        yes: Whether nobody is to be asked.

    Returns:
        What was typed, for the argument `confirm`.
    """
    if yes:
        return repo.repo_id
    return ask(f"To {what} it for good, type its name ({repo.repo_id}): ")


def ask(question: str) -> str:
    """Ask a person on stderr. click's own prompt writes a blank to stdout, which is for data.

    Args:
        question: What to ask, with what separates it from the answer.

    Returns:
        The answer.

    Raises:
        Abort: There is nobody to answer.
    """
    click.echo(question, nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        click.echo(err=True)
        raise click.Abort
    return answer.strip()


def record_of(found: Any) -> dict[str, Any]:
    """Turn a result into a mapping."""
    return {name: getattr(found, name) for name in found.__dataclass_fields__}


def show_info(output: Output, found: RepoInfo) -> None:
    """Show one repository."""
    from hfl_core.cli import human_bytes

    labels = dict(INFO_LABELS)
    if found.used_storage is not None:
        labels["used_storage"] = "Storage"
    output.record(
        record_of(found),
        labels=labels,
        show={"last_modified": day, "used_storage": human_bytes},
    )


def day(moment: Any) -> str:
    """Write a time for a table."""
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def short(commit: Any) -> str:
    """Write a commit for a table."""
    return "-" if commit is None else str(commit)[:12]
