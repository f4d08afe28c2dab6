"""``hfl status``: how the runs of a folder stand, and what to do next."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, Mapping

import click

from hfl_core.cli import Output, format_option, human_bytes

__all__ = ["status"]

_COLUMNS = {
    "name": "Run", "checkpoints": "Checkpoints", "latest": "Newest", "saved": "Saved", "health": "Health",
    "shown_metrics": "Metrics (lowest to highest)", "waiting": "To publish", "size": "On disk",
}  # fmt: skip


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--profile", metavar="NAME", help="The profile to act as.")
@click.option("--endpoint", metavar="URL", help="The Hub to ask.")
@click.option("--offline", is_flag=True, help="Leave the network alone.")
@click.option("--storage", is_flag=True, help="Ask the Hub how much the repositories hold.")
@click.option(
    "--watch",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Look again every so many seconds, until Ctrl-C.",
)
@format_option
def status(
    *,
    folder: Path,
    profile: str | None,
    endpoint: str | None,
    offline: bool,
    storage: bool,
    watch: float | None,
    output: Output,
) -> None:
    """Show how the runs in FOLDER stand, and what to do next.

    Account and Hub, and for each run its newest checkpoint and whether it is sound, what waits to be published,
    and what it takes on the disk. Nothing is changed.

    \b
    Examples:
      hfl status
      hfl status runs --watch 10
      hfl status --offline --format json
    """
    from hf_lifecycle._status import look
    from hfl_core.errors import NotFoundError

    if not folder.is_dir():
        raise NotFoundError(f"There is no folder '{folder}'.", hint="Pass the folder of your runs.")
    while True:
        found = look(
            folder, profile=profile, endpoint=endpoint, offline=offline, with_storage=storage
        )
        if watch is not None and output.format == "table":
            click.clear()
        _show(found, output)
        if watch is None:
            return
        time.sleep(watch)


def _show(found: Dict[str, Any], output: Output) -> None:
    if output.format == "csv":
        output.rows(found["runs"], {key: key for row in found["runs"] for key in row})
        return
    if output.format != "table":
        output.record(found)
        return
    labels = {"account": "Account", "endpoint": "Hub"}
    output.record(found, labels=labels)
    columns = dict(_COLUMNS)
    if any(row["hub_size"] is not None for row in found["runs"]):
        columns["hub_size"] = "On the Hub"
    click.echo()
    output.rows(
        [_readable(row) for row in found["runs"]],
        columns,
        show={
            "size": human_bytes,
            "hub_size": lambda size: "-" if size is None else human_bytes(size),
        },
        empty="There are no runs here.",
    )
    for row in found["runs"]:
        for text in [*row["problems"], *row["remarks"]]:
            output.warn(f"{row['name']}: {text}")
    for item in found["next"]:
        output.note(f"Next: {item['do']}   ({item['why']})")


def _readable(row: Mapping[str, Any]) -> Dict[str, Any]:
    import datetime

    from hf_lifecycle._status import age

    saved, problems = row["saved_at"], len(row["problems"])
    metrics = [
        f"{name} {value:.4g} ({best['min']['value']:.4g} to {best['max']['value']:.4g})"
        for name, value in row["metrics"].items()
        for best in [row["best"].get(name)]
        if best is not None
    ]
    return {
        **row,
        "saved": (
            None if saved is None else age(saved, datetime.datetime.now(datetime.timezone.utc))
        ),
        "health": "sound" if not problems else "damaged",
        "shown_metrics": ", ".join(metrics) or None,
    }
