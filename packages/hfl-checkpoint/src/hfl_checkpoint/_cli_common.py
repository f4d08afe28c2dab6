"""What the commands of ``hfl checkpoint`` share."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Sequence, Tuple, TypeVar

import click

from hfl_core.cli import Output, human_bytes

if TYPE_CHECKING:
    from hfl_checkpoint._catalog import Catalog
    from hfl_checkpoint._checkpoint import Checkpoint

__all__ = [
    "SHOW",
    "confirm",
    "facts",
    "hub_options",
    "open_catalog",
    "run_argument",
    "short",
    "show_rows",
    "table_of",
]

_F = TypeVar("_F", bound=Callable[..., Any])


def run_argument(function: _F) -> _F:
    """Add the argument that names the run's directory."""
    return click.argument("run", type=click.Path())(function)


def hub_options(function: _F) -> _F:
    """Add the options that say on which Hub, as whom."""
    for option in (
        click.option("--endpoint", metavar="URL", help="The Hub; see `hfl auth explain`."),
        click.option("--profile", metavar="NAME", help="The profile; see `hfl auth list`."),
    ):
        function = option(function)
    return function


def open_catalog(run: str) -> Catalog:
    """Open the run that a command was given.

    Raises:
        NotFoundError: There is no such directory.
    """
    from pathlib import Path

    from hfl_checkpoint._catalog import Catalog
    from hfl_core import NotFoundError

    if not Path(run).exists():
        raise NotFoundError(
            f"There is no directory {run!r}.",
            hint="Pass the directory that was given to CheckpointManager.",
        )
    return Catalog(run)


def facts(item: Checkpoint) -> Dict[str, Any]:
    """Describe a checkpoint; these keys are the same in everything that shows one."""
    return {
        "name": item.name,
        "step": item.step,
        "epoch": item.epoch,
        "metrics": dict(item.metrics),
        "reason": item.reason,
        "size": item.size,
        "created_at": item.created_at,
        "pinned": item.pinned,
        "labels": list(item.labels),
        "run_id": item.run_id,
        "sequence": item.sequence,
        "components": list(item.components),
        "path": item.path,
    }


def table_of(found: Sequence[Checkpoint]) -> Tuple[List[Dict[str, Any]], Dict[str, str], Any]:
    """Make the rows, the columns and the column formats of a table of checkpoints, a column per metric."""
    from hfl_checkpoint._find import metrics_of

    metrics = metrics_of(found)
    columns = {"name": "Name", "step": "Step", "epoch": "Epoch"}
    columns.update({f"metrics.{name}": name for name in metrics})
    columns.update(
        {"reason": "Reason", "size": "Size", "created_at": "Created (UTC)", "pinned": "Pinned"}
    )
    show = {**SHOW, **{f"metrics.{name}": short for name in metrics}}
    return [facts(item) for item in found], columns, show


def show_rows(
    output: Output,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    *,
    show: Mapping[str, Callable[[Any], str]],
    nested: Sequence[str] = ("metrics",),
    empty: str | None = None,
) -> None:
    """Show rows whose values may be mappings.

    JSON and YAML nest them; tables and CSV, which cannot, have a column ``metrics.loss`` for each key.
    """
    if output.format in ("table", "csv"):
        keys = {
            field: list(dict.fromkeys(key for row in rows for key in row[field]))
            for field in nested
        }
        flat = [_flatten(row, keys) for row in rows]
        if output.format == "csv":  # all columns, in the order of the keys, not of the table
            columns = {key: key for row in flat for key in row}
        elif sys.stdout is not None and sys.stdout.isatty():
            columns = _fitting(flat, columns, show, shutil.get_terminal_size().columns)
        output.rows(flat, columns, show=show, empty=empty)
        return
    output.rows(rows, {key: key for row in rows for key in row}, empty=empty)


# What a list can do without on a narrow terminal, the first first.
_DROPPABLE = ("created_at", "reason", "size", "epoch")


def _fitting(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    show: Mapping[str, Callable[[Any], str]],
    width: int,
) -> Mapping[str, str]:
    """Leave out columns that a terminal has no room for; folded, nobody could read any of them."""
    kept = dict(columns)
    for droppable in _DROPPABLE:
        cells = {
            key: [
                header,
                *(show.get(key, str)(row[key]) for row in rows if row.get(key) is not None),
            ]
            for key, header in kept.items()
        }
        if sum(max(map(len, texts)) + 3 for texts in cells.values()) <= width:
            break
        kept.pop(droppable, None)
    return kept


def _flatten(row: Mapping[str, Any], nested: Mapping[str, Sequence[str]]) -> Dict[str, Any]:
    flat: Dict[str, Any] = {}
    for key, value in row.items():
        if key in nested:
            flat.update({f"{key}.{inner}": value.get(inner) for inner in nested[key]})
        else:
            flat[key] = value
    return flat


def confirm(question: str) -> None:
    """Ask a person on stderr, which leaves stdout to the data.

    Raises:
        Abort: They said no, or nobody is there to answer.
    """
    click.echo(f"{question} [y/N] ", nl=False, err=True)
    answer = sys.stdin.readline() if sys.stdin is not None else ""
    if not answer:
        click.echo(err=True)
    if answer.strip().lower() not in ("y", "yes"):
        raise click.Abort


def short(value: float) -> str:
    """Write a metric for a table."""
    return f"{value:.6g}"


SHOW: Dict[str, Callable[[Any], str]] = {
    "size": human_bytes,
    "created_at": lambda time: f"{time:%Y-%m-%d %H:%M:%S}",
    "pinned": lambda pinned: "yes" if pinned else "",
    "labels": ", ".join,
}
