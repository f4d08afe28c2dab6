"""``hfl metadata show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping

import click

from hfl_core.cli import Output, format_option

if TYPE_CHECKING:
    from hfl_metadata._record import RunMetadata

__all__ = ["COMMANDS"]

_LONGEST = 160  # characters of a value in a table: a patch has thousands


@click.command()
@click.argument("path", type=click.Path(), default=".")
@click.option(
    "--section",
    "sections",
    metavar="NAME",
    multiple=True,
    help="Show all of this part: git, packages, model, hyperparameters, …; repeatable.",
)
@format_option
def show(path: str, sections: tuple[str, ...], output: Output) -> None:
    """Show what is on record about a run.

    PATH is a metadata.json, a checkpoint, or the directory of a run, whose newest checkpoint counts.
    A table sums the record up; the other formats hold all of it.

    \b
    Examples:
      hfl metadata show runs/digits
      hfl metadata show runs/digits/step-00000500 --section packages --section git
      hfl metadata show runs/digits --format json
    """
    from hfl_metadata._find import read_metadata
    from hfl_metadata._summary import summary_rows

    record = read_metadata(path)
    if sections:
        _show_sections(record, sections, output)
    elif output.format == "table":
        output.record(summary_rows(record))
    elif output.format == "csv":
        output.rows(_lines(record.to_dict()), {"path": "path", "value": "value"})
    else:
        output.record(record.to_dict())


def _show_sections(record: RunMetadata, sections: tuple[str, ...], output: Output) -> None:
    from hfl_metadata._diff import show_value

    values = record.to_dict()
    chosen = {name: values[_field(name, values)] for name in sections}
    if output.format in ("table", "csv"):
        output.rows(
            _lines(chosen),
            {"path": "Field", "value": "Value"},
            show={"value": lambda value: show_value(value, _LONGEST)},
            empty=f"Nothing is on record about {', '.join(sections)}.",
        )
    else:
        output.record(chosen)


def _field(name: str, values: Mapping[str, Any]) -> str:
    import difflib

    from hfl_core import NotFoundError

    if name in values:
        return name
    near = difflib.get_close_matches(name, values, n=1)
    raise NotFoundError(
        f"A record has no part {name!r}.",
        hint=f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(values)}.",
    )


def _lines(values: Mapping[str, Any]) -> List[Dict[str, Any]]:
    from hfl_metadata._diff import flatten

    empty: List[Any] = [{}, [], None]
    return [{"path": path, "value": value} for path, value in flatten(values) if value not in empty]


COMMANDS = {"show": show}
