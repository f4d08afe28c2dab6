"""``hfl checkpoint diff``."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

import click

from hfl_checkpoint._cli_common import open_catalog, run_argument, short
from hfl_core.cli import Output, format_option

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint
    from hfl_checkpoint._difference import Change, Summary

__all__ = ["COMMANDS"]


@click.command()
@run_argument
@click.argument("before")
@click.argument("after", default="latest")
@click.option(
    "--only", metavar="COMPONENT", multiple=True, help="Compare this component; repeatable."
)
@click.option("--summary", is_flag=True, help="One line per component.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=40,
    show_default=True,
    help="The most lines of a table; 0 shows all. Other formats always hold all.",
)
@format_option
def diff(
    run: str,
    before: str,
    after: str,
    only: Tuple[str, ...],
    summary: bool,
    limit: int,
    output: Output,
) -> None:
    """Show which tensors differ between two checkpoints of RUN, and by how much.

    BEFORE and AFTER are as for 'show'. Every component is compared, optimizers included, tensor by
    tensor and value by value; the tensors that moved furthest come first. Files are read in pieces.

    \b
    Examples:
      hfl checkpoint diff runs/digits 1000 2000
      hfl checkpoint diff runs/digits best:eval_loss --only model
      hfl checkpoint diff runs/digits 1000 2000 --summary --format json
    """
    from hfl_checkpoint._difference import Change, difference
    from hfl_checkpoint._find import which_of
    from hfl_checkpoint._manifest import read_manifest

    catalog = open_catalog(run)
    pair = [catalog.find(which_of(text)) for text in (before, after)]
    with contextlib.ExitStack() as leases:
        for item in pair:
            leases.enter_context(catalog.run_directory.reading(item))
        _require_components(pair, only)
        found = [(item.path, read_manifest(item.path)) for item in pair]
        summaries, changes = difference(found[0], found[1], only=only)
    if summary:
        _show_summaries(output, summaries)
        return
    # What moved furthest first; what cannot be measured before that.
    changes.sort(key=_rank)
    if output.format != "table":
        columns = {field.name: field.name for field in dataclasses.fields(Change)}
        output.rows([dataclasses.asdict(change) for change in changes], columns)
        return
    whole = [one for one in summaries if one.kind in ("added", "removed")]
    for one in whole:
        output.note(f"Component {one.component} was {one.kind}.")
    if changes:
        _show_table(output, changes[:limit] if limit else changes)
    elif not whole:
        output.note(f"{pair[0].name} and {pair[1].name} hold the same.")
    if limit and len(changes) > limit:
        output.note(f"{len(changes) - limit} more differ; --limit 0 shows all.")


def _require_components(pair: List[Checkpoint], only: Tuple[str, ...]) -> None:
    from hfl_core import NotFoundError

    known = list(dict.fromkeys([*pair[0].components, *pair[1].components]))
    for name in only:
        if name not in known:
            raise NotFoundError(
                f"Neither {pair[0].name} nor {pair[1].name} has a component {name!r}.",
                hint=f"There are {', '.join(known)}.",
            )


def _rank(change: Change) -> Any:
    moved = change.rel_l2 if change.rel_l2 is not None else float("inf")
    return (change.max_abs is not None, -moved, change.component, change.item)


def _show_table(output: Output, changes: List[Change]) -> None:
    rows: List[Dict[str, Any]] = []
    for change in changes:
        was, now = change.before or "", change.after or ""
        values = f"{was} -> {now}" if was and now else was or now
        if change.new_nans:
            values = f"{change.new_nans:,} became NaN"
        elements = None if change.changed is None else f"{change.changed:,} of {change.total:,}"
        rows.append({**dataclasses.asdict(change), "elements": elements, "values": values})
    output.rows(
        rows,
        {
            "component": "Component",
            "item": "Item",
            "kind": "What",
            "max_abs": "Max abs",
            "rel_l2": "Rel L2",
            "elements": "Elements",
            "values": "Values",
        },
        show={"max_abs": short, "rel_l2": short},
    )


def _show_summaries(output: Output, summaries: List[Summary]) -> None:
    output.rows(
        [dataclasses.asdict(item) for item in summaries],
        {
            "component": "Component",
            "kind": "What",
            "items": "Items",
            "differing": "Differ",
            "max_abs": "Max abs",
            "rel_l2": "Rel L2",
        },
        show={"max_abs": short, "rel_l2": short},
    )


COMMANDS = {"diff": diff}
