"""The commands ``hfl checkpoint …``; alone, ``hfl-checkpoint …``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict

import click

from hfl_checkpoint._cli_foreign import export_command, import_command
from hfl_core import get_logger
from hfl_core.cli import Output, format_option, human_bytes, main_for

if TYPE_CHECKING:
    from hfl_checkpoint._catalog import Catalog
    from hfl_checkpoint._checkpoint import Checkpoint, VerifyReport
    from hfl_checkpoint._verify import Level

_log = get_logger(__name__)


@click.group()
def checkpoint() -> None:
    """Look at the checkpoints of a run, and verify them."""


@checkpoint.command("list")
@click.argument("run", type=click.Path(), default=".")
@format_option
def list_checkpoints(run: str, output: Output) -> None:
    """List the checkpoints of RUN, oldest first.

    RUN is the directory that was given to CheckpointManager.

    \b
    Examples:
      hfl checkpoint list runs/digits
      hfl checkpoint list runs/digits --format json
    """
    catalog = _catalog(run)
    found = catalog.checkpoints()
    for error in catalog.unreadable().values():
        _log.warning("%s", error.message)
    metrics = sorted({name for item in found for name in item.metrics})
    columns = {"name": "Name", "step": "Step", "epoch": "Epoch"}
    columns.update({f"metrics.{name}": name for name in metrics})
    columns.update(
        {"reason": "Reason", "size": "Size", "created_at": "Created (UTC)", "pinned": "Pinned"}
    )
    rows = [
        {**_facts(item), **{f"metrics.{name}": item.metrics.get(name) for name in metrics}}
        for item in found
    ]
    output.rows(
        rows,
        columns,
        show={**_SHOW, **{f"metrics.{name}": _short for name in metrics}},
        empty=f"{run} holds no checkpoint.",
    )


@checkpoint.command()
@click.argument("run", type=click.Path())
@click.argument("which", default="latest")
@format_option
def show(run: str, which: str, output: Output) -> None:
    """Show one checkpoint of RUN: its metrics, components and files.

    WHICH is 'latest', 'best:METRIC', 'best:METRIC:max', a step, a name or a label.

    \b
    Examples:
      hfl checkpoint show runs/digits
      hfl checkpoint show runs/digits best:eval_loss
      hfl checkpoint show runs/digits 500 --format json
    """
    from hfl_checkpoint._manifest import read_manifest

    found = _catalog(run).find(_which(which))
    manifest = read_manifest(found.path)
    files = [{"path": f.path, "size": f.size, "xxh3-128": f.xxh3} for f in manifest.files]
    output.record(
        {
            **_facts(found),
            "metrics": dict(found.metrics),
            "run_id": found.run_id,
            "sequence": found.sequence,
            "parent": manifest.parent,
            "labels": list(found.labels),
            "path": found.path,
            "components": {name: manifest.components[name].class_name for name in manifest.names},
            "files": files,
            "versions": dict(manifest.versions),
        },
        show={
            **_SHOW,
            "metrics": lambda items: ", ".join(f"{key} {_short(v)}" for key, v in items.items()),
            "labels": ", ".join,
            "components": ", ".join,
            "files": lambda items: ", ".join(
                f"{item['path']} ({human_bytes(item['size'])})" for item in items
            ),
            "versions": lambda items: ", ".join(f"{name} {v}" for name, v in items.items()),
        },
    )


@checkpoint.command()
@click.argument("run", type=click.Path())
@click.argument("which", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Verify all checkpoints of the run.")
@click.option(
    "--level",
    type=click.Choice(["quick", "full"]),
    default="full",
    show_default=True,
    help="quick: presence, sizes and headers. full: every byte.",
)
@format_option
@click.pass_context
def verify(
    context: click.Context,
    run: str,
    which: tuple[str, ...],
    every: bool,
    level: Level,
    output: Output,
) -> None:
    """Verify checkpoints of RUN, and name what is damaged.

    WHICH names one or more, as for 'show'; without it, the latest is verified. Ends with status 5
    when something is damaged.

    \b
    Examples:
      hfl checkpoint verify runs/digits
      hfl checkpoint verify runs/digits --all --level quick
      hfl checkpoint verify runs/digits 500 best:eval_loss
    """
    catalog = _catalog(run)
    reports: Dict[str, VerifyReport] = {}
    if every or not which:
        found = catalog.verify_all(level) if every else catalog.verify_unreadable(level)
        reports = {report.name: report for report in found}
    for item in which or (() if reports else ("latest",)):
        report = catalog.verify(_which(item), level)
        reports[report.name] = report
    output.rows(
        [
            {
                "name": report.name,
                "ok": report.ok,
                "level": report.level,
                "problems": [str(problem) for problem in report.problems],
            }
            for report in reports.values()
        ],
        {"name": "Name", "ok": "Intact", "level": "Level", "problems": "Problems"},
        show={"ok": lambda ok: "yes" if ok else "NO", "problems": "; ".join},
    )
    if not all(report.ok for report in reports.values()):
        context.exit(5)


def _catalog(run: str) -> Catalog:
    from pathlib import Path

    from hfl_checkpoint._catalog import Catalog
    from hfl_core import NotFoundError

    if not Path(run).exists():
        raise NotFoundError(
            f"There is no directory {run!r}.",
            hint="Pass the directory that was given to CheckpointManager.",
        )
    return Catalog(run)


def _which(text: str) -> str | int:
    return int(text) if text.isdigit() else text


def _facts(item: Checkpoint) -> Dict[str, Any]:
    return {
        "name": item.name,
        "step": item.step,
        "epoch": item.epoch,
        "reason": item.reason,
        "size": item.size,
        "created_at": item.created_at,
        "pinned": item.pinned,
    }


def _short(value: float) -> str:
    return f"{value:.6g}"


_SHOW: Dict[str, Callable[[Any], str]] = {
    "size": human_bytes,
    "created_at": lambda time: f"{time:%Y-%m-%d %H:%M:%S}",
    "pinned": lambda pinned: "yes" if pinned else "",
}


checkpoint.add_command(import_command)
checkpoint.add_command(export_command)

main = main_for(checkpoint)
