"""``hfl model stage|stages``."""

from __future__ import annotations

from typing import Any, Optional

import click

from hfl_core.cli import Output, format_option
from hfl_registry._cli_common import hub_options, open_registry

__all__ = ["COMMANDS"]

_STAGES = click.Choice(["candidate", "staging", "production", "archived"])


@click.command()
@click.argument("repo_id", metavar="REPO")
@click.argument("stage", type=_STAGES)
@click.option(
    "--revision", metavar="REV", help="A branch, tag, commit or other stage.  [default: main]"
)
@click.option("--clear", is_flag=True, help="Take what is in the stage out of it.")
@hub_options
@format_option
def stage(
    repo_id: str,
    stage: str,
    revision: Optional[str],
    clear: bool,
    profile: Optional[str],
    endpoint: Optional[str],
    output: Output,
) -> None:
    """Put a published model into a stage: the tag stage/STAGE moves, and a dated tag stays.

    \b
    Examples:
      hfl model stage me/digits staging --revision v2
      hfl model stage me/digits production --revision staging
    """
    if clear and revision is not None:
        raise click.UsageError("--clear and --revision: one of the two.")
    registry = open_registry(profile, endpoint)
    if clear:
        found = registry.clear_stage(repo_id, stage)
    else:
        found = registry.stage(repo_id, stage, revision=revision)
    output.record(
        {
            "stage": found.name,
            "commit": found.commit,
            "tag": found.tag,
            "moves": len(found.history),
        },
        labels={"stage": "Stage", "commit": "Commit", "tag": "Tag", "moves": "Moves so far"},
        show={"commit": _short},
    )


@click.command()
@click.argument("repo_id", metavar="REPO")
@click.option("--history", is_flag=True, help="Show every move, newest first.")
@hub_options
@format_option
def stages(
    repo_id: str,
    history: bool,
    profile: Optional[str],
    endpoint: Optional[str],
    output: Output,
) -> None:
    """Show which model of a repository is in which stage.

    \b
    Example:
      hfl model stages me/digits --history
    """
    found = open_registry(profile, endpoint).stages(repo_id)
    rows: list[dict[str, Any]] = []
    for each in found:
        if history:
            rows += [
                {"stage": each.name, "commit": move.commit, "since": move.at.isoformat()}
                for move in each.history
            ]
        else:
            since = None if each.since is None else each.since.isoformat()
            rows.append({"stage": each.name, "commit": each.commit, "since": since})
    output.rows(
        rows,
        {"stage": "Stage", "commit": "Commit", "since": "Since"},
        show={"commit": _short},
        empty="Nothing has been put into a stage.",
    )


def _short(commit: Any) -> str:
    return "-" if commit is None else str(commit)[:12]


COMMANDS = {"stage": stage, "stages": stages}
