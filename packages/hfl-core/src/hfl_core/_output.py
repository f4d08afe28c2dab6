"""The one object through which a command shows its results: data on stdout, talk on stderr."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from typing import Any, Callable, Literal, Mapping, Sequence

from hfl_core._jsonable import to_jsonable
from hfl_core._redact import redact
from hfl_core._terminal import console, echo, is_terminal, say, use_color

Format = Literal["table", "json", "yaml", "csv"]
FORMATS: tuple[Format, ...] = ("table", "json", "yaml", "csv")
Show = Mapping[str, Callable[[Any], str]]

# Escape sequences in a name from elsewhere could rewrite what the terminal shows.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


class Output:
    """Shows what a command found, in the format that the user asked for.

    Data goes to stdout and everything else to stderr, so that a pipe gets data only. A table is
    drawn on a terminal and is plain aligned text elsewhere; the other formats are the same everywhere.

    Args:
        format: One of `table`, `json`, `yaml` and `csv`.
        quiet: Leave out notes.

    Example:
        >>> output = Output("csv")
        >>> output.rows([{"step": 500, "loss": 0.25}], {"step": "Step", "loss": "Loss"})
        step,loss
        500,0.25
    """

    def __init__(
        self, format: Format = "table", *, quiet: bool = False  # noqa: A002  # the option's name
    ) -> None:
        self.format = format
        self.quiet = quiet

    def rows(
        self,
        rows: Sequence[Mapping[str, Any]],
        columns: Mapping[str, str],
        *,
        show: Show | None = None,
        empty: str | None = None,
    ) -> None:
        """Show a list.

        Args:
            rows: One mapping per row. JSON, YAML and CSV get all of their keys; every object has the same ones.
            columns: The keys that a table shows, in order, with their headers.
            show: How a table writes the values of a column; the other formats get the value itself.
            empty: A note for an empty table, in place of lonely headers.
        """
        keys = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
        if self.format == "table":
            if not rows and empty is not None:
                self.note(empty)
            else:
                self._table(rows, columns, show or {})
            return
        complete = [{key: to_jsonable(row.get(key)) for key in keys} for row in rows]
        if self.format == "csv":
            self._csv(complete, keys)
        else:
            self._document(complete)

    def record(
        self,
        record: Mapping[str, Any],
        *,
        labels: Mapping[str, str] | None = None,
        show: Show | None = None,
    ) -> None:
        """Show one object.

        Args:
            record: Its fields.
            labels: The keys that a table shows, in order, with their labels; all, under their own names, if None.
            show: How a table writes a field; the other formats get the value itself.
        """
        if self.format == "table":
            self._table_of_one(record, labels or {key: key for key in record}, show or {})
            return
        plain = {key: to_jsonable(value) for key, value in record.items()}
        if self.format == "csv":
            self._csv([plain], list(plain))
        else:
            self._document(plain)

    def note(self, text: str) -> None:
        """Tell the user something on stderr, unless they asked for quiet."""
        if not self.quiet and not _is_quiet():
            _say("", text)

    def warn(self, text: str) -> None:
        """Warn the user on stderr."""
        _say("Warning: ", text, style="yellow")

    def _document(self, value: Any) -> None:
        if self.format == "yaml":
            import yaml

            # The dumper in C is ten times as fast; a build of PyYAML may lack it.
            dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
            echo(yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True).rstrip("\n"))
            return
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        if not _can_encode(text):
            text = json.dumps(value, indent=2, allow_nan=False)
        echo(text)

    def _csv(self, rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> None:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(keys)
        writer.writerows([_csv_cell(row[key]) for key in keys] for row in rows)
        echo(buffer.getvalue().rstrip("\n"))

    def _table(
        self, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], show: Show
    ) -> None:
        cells = [[_cell(row.get(key), show.get(key)) for key in columns] for row in rows]
        headers = [_CONTROL.sub(" ", header) for header in columns.values()]
        is_number = [
            bool(rows) and all(_is_number(row.get(key)) for row in rows) for key in columns
        ]
        if _is_drawn():
            from rich import box
            from rich.table import Table
            from rich.text import Text

            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            for header, right in zip(headers, is_number):
                table.add_column(
                    Text(header), justify="right" if right else "left", overflow="fold"
                )
            for line in cells:
                table.add_row(*(Text(cell) for cell in line))
            console(sys.stdout).print(table)
            return
        echo("\n".join(_aligned([headers, *cells], is_number)))

    def _table_of_one(
        self, record: Mapping[str, Any], labels: Mapping[str, str], show: Show
    ) -> None:
        cells = [[label, _cell(record.get(key), show.get(key))] for key, label in labels.items()]
        if _is_drawn():
            from rich.table import Table
            from rich.text import Text

            grid = Table.grid(padding=(0, 2))
            grid.add_column(style="bold")
            grid.add_column(overflow="fold")
            for label, cell in cells:
                grid.add_row(Text(label), Text(cell))
            console(sys.stdout).print(grid)
            return
        echo("\n".join(_aligned(cells, [False, False])))


def human_bytes(size: float) -> str:
    """Write a number of bytes for people, in powers of 1024.

    Args:
        size: Bytes.

    Returns:
        The number with three significant digits and its unit.

    Example:
        >>> human_bytes(1536), human_bytes(20 * 1024**2)
        ('1.5 KiB', '20 MiB')
    """
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    for unit in units:
        # 999.5 would be written as 1e+03; four digits are shorter than that.
        if abs(size) < 1024 or unit == units[-1]:
            return f"{size:.0f} {unit}" if abs(size) >= 999.5 else f"{size:.3g} {unit}"
        size /= 1024
    raise AssertionError  # the last unit returns


def _say(prefix: str, text: str, *, style: str = "") -> None:
    safe = redact(text)
    if prefix and style and use_color(sys.stderr):
        from rich.text import Text

        console(sys.stderr).print(Text.assemble((prefix, style), safe), soft_wrap=True)
        return
    say(f"{prefix}{safe}")


def _is_quiet() -> bool:
    import click

    from hfl_core._cli_options import verbosity_of

    context = click.get_current_context(silent=True)
    return context is not None and verbosity_of(context) < 0


def _is_drawn() -> bool:
    return is_terminal(sys.stdout) and os.environ.get("TERM") != "dumb"


def _can_encode(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: Any, show: Callable[[Any], str] | None) -> str:
    if value is None:
        return "-"
    text = _text(value) if show is None else show(value)
    return _CONTROL.sub(" ", text) or "-"


def _text(value: Any) -> str:
    plain = to_jsonable(value)
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    if isinstance(plain, float):
        return f"{plain:.6g}"
    if isinstance(plain, list) and not any(isinstance(item, (list, dict)) for item in plain):
        return ", ".join(_text(item) for item in plain)
    if isinstance(plain, (list, dict)):
        return json.dumps(plain, ensure_ascii=False)
    return str(plain)


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    return value


def _aligned(lines: Sequence[Sequence[str]], is_right: Sequence[bool]) -> list[str]:
    from rich.cells import cell_len

    widths = [max(cell_len(cell) for cell in column) for column in zip(*lines)]
    aligned = []
    for line in lines:
        padded = []
        for cell, width, right in zip(line, widths, is_right):
            space = " " * (width - cell_len(cell))
            padded.append(space + cell if right else cell + space)
        aligned.append("  ".join(padded).rstrip())
    return aligned
