"""``hfl checkpoint compare``."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any, Dict, List, Optional, Tuple

import click

from hfl_checkpoint._cli_common import open_catalog, run_argument, short, show_rows
from hfl_core.cli import Output, format_option

__all__ = ["COMMANDS"]

# So many columns of values fit beside the others on a terminal of 120 columns.
_SIDE_BY_SIDE = 4


@click.command()
@run_argument
@click.argument("which", nargs=-1)
@format_option
def compare(run: str, which: Tuple[str, ...], output: Output) -> None:
    """Compare the metrics of checkpoints of RUN.

    WHICH names some, as for 'pin'; without it, all are compared. A few are shown side by side; of many,
    the first and the last value, the extremes and where they are.

    \b
    Examples:
      hfl checkpoint compare runs/digits
      hfl checkpoint compare runs/digits 1000 best:eval_loss latest
      hfl checkpoint compare runs/digits 1000..5000 --format csv
    """
    from hfl_checkpoint._comparison import courses, sparkline

    catalog = open_catalog(run)
    found = catalog.find_all(which) if which else catalog.checkpoints()
    plain = not _has_blocks()
    steps: Dict[Optional[str], int] = {item.name: item.step for item in found}
    rows: List[Dict[str, Any]] = []
    for course in courses(found):
        row = dataclasses.asdict(course)
        if output.format == "table":
            row["trend"] = sparkline(list(course.values.values()), plain=plain)
            row["lowest_step"] = steps.get(course.lowest_at)
            row["highest_step"] = steps.get(course.highest_at)
        rows.append(row)
    columns: Dict[str, str] = {"metric": "Metric", "trend": "Trend"}
    if len(found) <= _SIDE_BY_SIDE:
        columns.update({f"values.{item.name}": item.name for item in found})
    else:
        columns.update(first="First", last="Last", minimum="Lowest", lowest_step="at step")
        columns.update(maximum="Highest", highest_step="at step")
    numbers = ("first", "last", "minimum", "maximum", *(f"values.{item.name}" for item in found))
    show_rows(
        output,
        rows,
        columns,
        show=dict.fromkeys(numbers, short),
        nested=("values",),
        empty=("These checkpoints have no metrics." if found else f"{run} holds no checkpoint."),
    )


def _has_blocks() -> bool:
    try:
        "▁█".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


COMMANDS = {"compare": compare}
