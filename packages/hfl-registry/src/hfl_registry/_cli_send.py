"""``hfl model register|validate|publish``."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import click

from hfl_core.cli import Output, format_option, human_bytes
from hfl_registry._cli_common import (
    FILE,
    hub_options,
    open_registry,
    register_entry,
    remember,
    trust_option,
)

__all__ = ["COMMANDS"]


@click.command()
@click.argument("model", metavar="MODULE:CLASS")
@click.option("--config", metavar="MODULE:CLASS", help="Its configuration's class.")
@click.option("--tokenizer", metavar="MODULE:CLASS", help="Its tokenizer's class.")
@click.option("--processor", metavar="MODULE:CLASS", help="Its processor's class.")
@click.option("--image-processor", metavar="MODULE:CLASS", help="Its image processor's class.")
@click.option("--auto-class", metavar="NAME", help="The Auto class, where its name does not tell.")
@click.option("--dry-run", is_flag=True, help="Only say what would be registered.")
@format_option
def register(model: str, dry_run: bool, output: Output, **given: Optional[str]) -> None:
    """Note in hfl-models.json which classes belong together, for the commands run in this folder.

    Its code is looked through first: what could not travel is refused with file and line.

    \b
    Examples:
      hfl model register lab.modeling:Digits --config lab.modeling:DigitsConfig
      hfl model register lab.nets:PlainNet
    """
    from hfl_registry._code._bundle import bundle

    registry = open_registry()
    entry: Dict[str, Any] = {"model": model, **{k: v for k, v in given.items() if v}}
    found = register_entry(registry, entry)
    code = bundle([cls for cls in found.classes if _is_own(cls)])
    if not dry_run:
        remember(entry)
        output.note(f"Noted in {FILE}.")
    output.record(
        {
            "model_type": found.model_type,
            "auto_classes": [*(["AutoConfig"] if found.config_class else []), *found.models],
            "files": sorted(code.files),
            "requirements": list(code.requirements),
        },
        labels={
            "model_type": "Model type",
            "auto_classes": "Auto classes",
            "files": "Code",
            "requirements": "Requirements",
        },
        show=dict.fromkeys(("auto_classes", "files", "requirements"), _listed),
    )


def _is_own(cls: Any) -> bool:
    return cls.__module__.partition(".")[0] not in ("transformers", "tokenizers")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--auto-class", metavar="NAME", help="The Auto class to load it with.")
@click.option("--tolerance", type=float, default=1e-5, show_default=True, help="Of an output.")
@trust_option
@format_option
def validate(
    folder: str,
    auto_class: Optional[str],
    tolerance: float,
    trust_remote_code: bool,
    output: Output,
) -> None:
    """Try what strangers would get of a folder with a model, in a fresh process, offline.

    The folder is a checkpoint, or what save_pretrained wrote.

    \b
    Example:
      hfl model validate runs/digits/step-00001000
    """
    from hfl_registry._promoting import companions_of

    registry = open_registry()
    model = registry.load(folder, trust_remote_code=trust_remote_code, auto_class=auto_class)
    companions = companions_of(folder, trust=trust_remote_code)
    report = registry.validate(model, tolerance=tolerance, **companions)
    output.rows(
        [
            {
                "check": each.name,
                "status": each.status,
                "detail": each.detail,
                "seconds": each.seconds,
            }
            for each in report.checks
        ],
        {"check": "Check", "status": "Result", "detail": "Detail", "seconds": "Seconds"},
    )
    report.raise_if_failed()


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.argument("repo_id", metavar="REPO")
@click.option("--revision", metavar="REV", help="A branch.  [default: main]")
@click.option("--create-branch", is_flag=True, help="Create the branch if it is not there.")
@click.option("--tag", metavar="NAME", help="A name for the result.")
@click.option("-m", "--message", metavar="TEXT", help="The commit's message.")
@click.option("--license", metavar="ID", help="The licence, for the card.")
@click.option(
    "--private/--public",
    "private",
    default=None,
    help="What the repository has to be.  [default: either will do]",
)
@click.option("--auto-class", metavar="NAME", help="The Auto class to load it with.")
@click.option("--no-validate", is_flag=True, help="Do not try it in a fresh process before.")
@click.option(
    "--allow", metavar="NAME", multiple=True, help="What the gate lets through; repeatable."
)
@click.option("--dry-run", is_flag=True, help="Do all but send.")
@trust_option
@hub_options
@format_option
def publish(
    folder: str,
    repo_id: str,
    profile: Optional[str],
    endpoint: Optional[str],
    no_validate: bool,
    allow: Tuple[str, ...],
    output: Output,
    **given: Any,
) -> None:
    """Publish the model of a folder: a checkpoint, or what save_pretrained wrote.

    \b
    Examples:
      hfl model publish runs/digits/step-00001000 me/digits --tag v1 --license mit
      hfl model publish ./model me/digits --dry-run
    """
    registry = open_registry(profile, endpoint)
    done = registry.promote(folder, repo_id, validate=not no_validate, allow=allow, **given)
    record = {
        "repo_id": done.repo_id,
        "commit": done.commit,
        "tag": done.tag,
        "files": list(done.files),
        "removed": list(done.removed),
        "bytes_sent": done.bytes_sent,
    }
    if done.is_dry_run:
        output.note("Nothing was sent.")
    output.record(
        record,
        labels={
            "repo_id": "Repository",
            "commit": "Commit",
            "tag": "Tag",
            "files": "Files",
            "removed": "Removed",
            "bytes_sent": "Sent",
        },
        show={"files": _listed, "removed": _listed, "bytes_sent": human_bytes, "commit": _short},
    )


def _listed(values: Any) -> str:
    return ", ".join(map(str, values)) or "-"


def _short(commit: Any) -> str:
    return str(commit)[:12]


COMMANDS = {"publish": publish, "register": register, "validate": validate}
