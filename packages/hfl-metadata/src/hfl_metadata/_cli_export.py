"""``hfl metadata export``."""

from __future__ import annotations

import csv
import fnmatch
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple

import click

from hfl_core.cli import Output

if TYPE_CHECKING:
    from hfl_metadata._record import RunMetadata

__all__ = ["COMMANDS"]

_FORMATS = ("json", "yaml", "csv", "requirements", "patch")


@click.command()
@click.argument("paths", type=click.Path(), nargs=-1, required=True)
@click.option(
    "--format",
    "format_",
    type=click.Choice(_FORMATS),
    default="json",
    show_default=True,
    help="json, yaml: the records; csv: a row for each; requirements: what to install; patch: the "
    "changes that were not committed.",
)
@click.option(
    "--select",
    "patterns",
    metavar="GLOB",
    multiple=True,
    help="Only these fields, by path: 'git.commit', 'hyperparameters.*'; repeatable.",
)
@click.option("-o", "--output", "target", type=click.Path(), help="A file; stdout without it.")
@click.option(
    "--all", "everything", is_flag=True, help="Every checkpoint of a run, not the newest."
)
def export(
    paths: Tuple[str, ...],
    format_: str,
    patterns: Tuple[str, ...],
    target: str | None,
    everything: bool,
) -> None:
    """Write records for other programs: for analysis, or to build the environment again.

    PATHS are as PATH is for 'show'. One path gives one record; several, or --all, give a list.

    \b
    Examples:
      hfl metadata export runs/digits --format yaml -o digits.yaml
      hfl metadata export runs/* --format csv --select 'hyperparameters.*' --select git.commit
      hfl metadata export runs/digits --format requirements -o requirements.txt
      hfl metadata export runs/digits --format patch | git apply
    """
    from hfl_metadata._find import find_records, read_file

    found = [item for path in paths for item in find_records(path)[0 if everything else -1 :]]
    records = [(item, read_file(item.path)) for item in found]
    if format_ in ("requirements", "patch"):
        text = _single(format_, [record for _, record in records])
    else:
        rows = [
            {
                "checkpoint": item.checkpoint,
                "step": item.step,
                "metrics": item.metrics,
                "metadata": _selected(record.to_dict(), patterns),
            }
            for item, record in records
        ]
        is_list = everything or len(paths) > 1
        text = _document(format_, rows, is_list=is_list)
    _write(text, target)


def _single(format_: str, records: List[RunMetadata]) -> str:
    if len(records) != 1:
        raise click.UsageError(
            f"--format {format_} is about one record, and {len(records)} are named."
        )
    return _requirements(records[0]) if format_ == "requirements" else _patch(records[0])


def _requirements(record: RunMetadata) -> str:
    lines = [f"# Python {record.python.version}, {record.platform.description}"]
    for name, version in record.packages.items():
        origin = record.origins.get(name)
        if origin is None:
            lines.append(f"{name}=={version}")
        elif origin.commit is not None:
            lines.append(f"{name} @ {origin.kind}+{origin.url}@{origin.commit}")
        elif origin.kind == "archive":
            lines.append(f"{name} @ {origin.url}")
        else:  # a folder of the machine on which it ran
            lines.append(f"# {name}=={version} was installed from {origin.url}")
    return "\n".join(lines) + "\n"


def _patch(record: RunMetadata) -> str:
    from hfl_core import NotFoundError

    if record.git.patch is not None:
        return record.git.patch
    if record.git.dirty is False:
        raise NotFoundError(
            "There is no patch: the files were as they were committed.",
            hint=f"Check out {record.git.commit}.",
        )
    raise NotFoundError(
        "There is no patch on record.", hint="Capture it: capture(patch=True), before the run."
    )


def _selected(values: Dict[str, Any], patterns: Tuple[str, ...]) -> Dict[str, Any]:
    from hfl_metadata._diff import flatten

    if not patterns:
        return values
    return {
        path: value
        for path, value in flatten(values)
        if any(
            fnmatch.fnmatchcase(path, pattern) or path.startswith((f"{pattern}.", f"{pattern}["))
            for pattern in patterns
        )
    }


def _document(format_: str, rows: List[Dict[str, Any]], *, is_list: bool) -> str:
    if format_ == "csv":
        return _csv(rows)
    value: Any = rows if is_list else rows[0]["metadata"]
    if format_ == "json":
        return json.dumps(value, indent=2, allow_nan=False) + "\n"
    from hfl_metadata import _yaml

    return _yaml.dump(value)


def _csv(rows: List[Dict[str, Any]]) -> str:
    from hfl_metadata._diff import flatten

    flat: List[Mapping[str, Any]] = []
    for row in rows:
        metrics = {f"metrics.{name}": value for name, value in row["metrics"].items()}
        flat.append(
            {
                "checkpoint": row["checkpoint"],
                "step": row["step"],
                **metrics,
                **dict(flatten(row["metadata"])),
            }
        )
    columns = list(dict.fromkeys(name for row in flat for name in row))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in flat)
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, (list, dict)) else value


def _write(text: str, target: str | None) -> None:
    if target is None:
        click.echo(text, nl=False)
        return
    from hfl_core import NotFoundError, write_atomically

    parent = Path(target).absolute().parent
    if not parent.is_dir():
        raise NotFoundError(f"There is no directory {str(parent)!r}.", hint="Create it first.")
    write_atomically(target, text.encode("utf-8", "surrogateescape"))
    Output().note(f"Wrote {target}.")


COMMANDS = {"export": export}
