"""``hfl model list|show|card|load``."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import click

from hfl_core.cli import Output, format_option
from hfl_registry._cli_common import hub_options, open_registry, trust_option

__all__ = ["COMMANDS"]


@click.command("list")
@click.argument("owner", required=False)
@click.option("--limit", type=int, default=100, show_default=True, help="The most to show.")
@hub_options
@format_option
def list_(
    owner: Optional[str],
    limit: int,
    profile: Optional[str],
    endpoint: Optional[str],
    output: Output,
) -> None:
    """List the published models of an account or organization, one's own if none is named.

    \b
    Example:
      hfl model list my-lab
    """
    found = open_registry(profile, endpoint).list(owner, limit=limit)
    output.rows(
        [
            {
                "repo_id": each.repo_id,
                "private": each.is_private,
                "license": each.license,
                "commit": each.sha,
            }
            for each in found
        ],
        {"repo_id": "Repository", "private": "Private", "license": "Licence", "commit": "Commit"},
        show={"commit": _short},
        empty="There is no model.",
    )


@click.command()
@click.argument("repo_id", metavar="REPO")
@click.option("--revision", metavar="REV", help="A branch, tag or commit.  [default: main]")
@hub_options
@format_option
def show(
    repo_id: str,
    revision: Optional[str],
    profile: Optional[str],
    endpoint: Optional[str],
    output: Output,
) -> None:
    """Show what a repository has published: its classes, its code and its requirements.

    \b
    Example:
      hfl model show me/digits --revision v1
    """
    found = open_registry(profile, endpoint).show(repo_id, revision=revision)
    record: Dict[str, Any] = {name: getattr(found, name) for name in found.__dataclass_fields__}
    output.record(
        record,
        labels={
            "repo_id": "Repository",
            "commit": "Commit",
            "tags": "Tags",
            "model_type": "Model type",
            "architecture": "Architecture",
            "auto_class": "Loaded with",
            "code": "Code",
            "requirements": "Requirements",
            "size": "Weights",
            "stages": "Stages",
            "base": "Base model",
        },
        show={
            "commit": _short,
            "tags": _listed,
            "code": _listed,
            "requirements": _listed,
            "size": _size,
            "stages": _listed,
            "base": lambda value: value or "-",
        },
    )


@click.command()
@click.argument("repo_id", metavar="REPO")
@click.option("--revision", metavar="REV", help="A branch, tag or commit.  [default: main]")
@hub_options
def card(
    repo_id: str, revision: Optional[str], profile: Optional[str], endpoint: Optional[str]
) -> None:  # fmt: skip
    """Print the card of a published model.

    \b
    Example:
      hfl model card me/digits
    """
    click.echo(open_registry(profile, endpoint).card(repo_id, revision=revision), nl=False)


@click.command()
@click.argument("repo_id", metavar="REPO|FOLDER")
@click.option("--revision", metavar="REV", help="A branch, tag or commit.  [default: main]")
@click.option(
    "--stage", metavar="STAGE", help="The stage whose model to load, instead of a revision."
)
@click.option("--auto-class", metavar="NAME", help="The Auto class to load it with.")
@trust_option
@hub_options
@format_option
def load(
    repo_id: str,
    profile: Optional[str],
    endpoint: Optional[str],
    output: Output,
    **given: Any,
) -> None:
    """Load a model once, and say what it is: whether it works here is known then.

    \b
    Example:
      hfl model load me/digits --trust-remote-code
    """
    model = open_registry(profile, endpoint).load(repo_id, **given)
    dtypes = sorted({str(each.dtype).replace("torch.", "") for each in model.parameters()})
    output.record(
        {
            "class": type(model).__name__,
            "parameters": sum(each.numel() for each in model.parameters()),
            "dtypes": dtypes,
        },
        labels={"class": "Class", "parameters": "Parameters", "dtypes": "Data types"},
        show={"parameters": lambda value: f"{value:,}", "dtypes": _listed},
    )


def _listed(values: List[str]) -> str:
    return ", ".join(values) or "-"


def _short(commit: Any) -> str:
    return "-" if commit is None else str(commit)[:12]


def _size(value: Any) -> str:
    from hfl_core.cli import human_bytes

    return human_bytes(value)


COMMANDS = {"card": card, "list": list_, "load": load, "show": show}
