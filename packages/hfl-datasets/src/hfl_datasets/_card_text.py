"""The parts of a dataset's card that are written for people: columns, statistics, usage, changelog."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from hfl_datasets._record import DatasetRecord, SplitRecord

__all__ = ["sections_of"]

_MOST_COLUMNS = 60
_MOST_ENTRIES = 20
_BARS = "▁▂▃▄▅▆▇█"


def sections_of(
    record: DatasetRecord,
    features: Mapping[str, Mapping[str, str]],
    *,
    usage: str = "",
    citation: str = "",
) -> Dict[str, str]:
    """Write all sections.

    Args:
        record: The version.
        features: Configuration to (column to what the datasets library calls its type).
        usage: An example that has been executed.
        citation: BibTeX, or whatever is to be cited.

    Returns:
        Name to text, in the order in which they come.
    """
    return {
        "schema": _schema(record, features),
        "statistics": _statistics(record),
        "usage": f"## Usage\n\n{usage}" if usage else "",
        "citation": f"## Citation\n\n```\n{citation.strip()}\n```\n" if citation else "",
        "changelog": _changelog(record),
    }


def _schema(record: DatasetRecord, features: Mapping[str, Mapping[str, str]]) -> str:
    lines = ["## Data", ""]
    for config, found in record.configs.items():
        if len(record.configs) > 1:
            lines += [f"### {_cell(config)}", ""]
        rows = [
            [name, f"{split.rows:,}", _bytes(split.num_bytes)]
            for name, split in found.splits.items()
        ]
        lines += _table(["Split", "Rows", "Size in memory"], rows, right=(1, 2))
        first = next(iter(found.splits.values()), None)
        if first is None:
            continue
        kinds = {**first.columns, **features.get(config, {})}
        named = [[f"`{name}`", kinds[name], _nulls(name, found.splits)] for name in first.columns]
        lines += _table(["Column", "Type", "Nulls"], named[:_MOST_COLUMNS], right=(2,))
        if len(named) > _MOST_COLUMNS:
            lines += [f"… and {len(named) - _MOST_COLUMNS:,} more columns.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _nulls(name: str, splits: Mapping[str, SplitRecord]) -> str:
    counts = [split.statistics.get(name, {}).get("nulls") for split in splits.values()]
    return f"{sum(counts):,}" if all(count is not None for count in counts) else "?"  # type: ignore[arg-type]  # None is ruled out


def _statistics(record: DatasetRecord) -> str:
    lines = ["## Statistics", ""]
    for config, found in record.configs.items():
        for name, split in found.splits.items():
            if not split.statistics:
                continue
            title = name if len(record.configs) == 1 else f"{config}, {name}"
            lines += [f"### {_cell(title)}", ""]
            lines += (
                _numbers(split.statistics) + _values(split.statistics) + _sizes(split.statistics)
            )
    return "\n".join(lines).rstrip() + "\n" if len(lines) > 2 else ""


def _numbers(columns: Mapping[str, Mapping[str, Any]]) -> List[str]:
    rows = [
        [
            f"`{name}`",
            _number(found["min"]),
            _number(found["quantiles"]["0.25"]),
            _number(found["quantiles"]["0.5"]),
            _number(found["quantiles"]["0.75"]),
            _number(found["max"]),
            _number(found["mean"]),
            _number(found["std"]),
            _distinct(found),
            _bars(found.get("histogram")),
        ]
        for name, found in columns.items()
        if found["kind"] == "number" and "quantiles" in found
    ]
    head = [
        "Column",
        "Min",
        "25 %",
        "Median",
        "75 %",
        "Max",
        "Mean",
        "Std",
        "Distinct",
        "Histogram",
    ]
    return _limited(head, rows, right=range(1, 9))


def _values(columns: Mapping[str, Mapping[str, Any]]) -> List[str]:
    rows = []
    for name, found in columns.items():
        if found["kind"] in ("text", "boolean", "label", "time"):
            present = found["count"] - found["nulls"]
            most = ", ".join(
                f"{_cell(str(value))} ({_share(count, present)})"
                for value, count in found.get("frequent", ())[
                    : 100 if found["kind"] == "label" else 3
                ]
            )
            if found["kind"] == "time" and "min" in found:
                most = f"{found['min']} to {found['max']}"
            rows.append([f"`{name}`", _distinct(found), most or "-"])
    return _limited(["Column", "Distinct", "Most frequent"], rows, right=(1,))


def _sizes(columns: Mapping[str, Mapping[str, Any]]) -> List[str]:
    rows = []
    what = {"text": "characters", "list": "items", "file": "bytes"}
    for name, found in columns.items():
        for figure in ("lengths", "widths", "heights"):
            numbers = found.get(figure)
            if numbers:
                unit = (
                    what.get(found["kind"], "")
                    if figure == "lengths"
                    else f"{figure[:-1]} in pixels"
                )
                rows.append(
                    [
                        f"`{name}`",
                        unit,
                        _number(numbers["min"]),
                        _number(numbers["quantiles"]["0.5"]),
                        _number(numbers["max"]),
                        _number(numbers["mean"]),
                        _bars(numbers.get("histogram")),
                    ]
                )
    head = ["Column", "Length in", "Min", "Median", "Max", "Mean", "Histogram"]
    return _limited(head, rows, right=(2, 3, 4, 5))


def _changelog(record: DatasetRecord) -> str:
    if not record.changelog:
        return ""
    lines = ["## Changelog", ""]
    for entry in record.changelog[:_MOST_ENTRIES]:
        title = f"**{_cell(entry.version)}**, {entry.date}" if entry.version else f"{entry.date}"
        details = f" ({entry.changes})" if entry.changes else ""
        lines.append(f"- {title}: {_cell(entry.message)}{details}")
    if len(record.changelog) > _MOST_ENTRIES:
        lines.append("- Older changes are in the history of the repository.")
    return "\n".join(lines) + "\n"


def _limited(head: Sequence[str], rows: List[List[str]], right: Sequence[int]) -> List[str]:
    if not rows:
        return []
    lines = _table(head, rows[:_MOST_COLUMNS], right=right)
    if len(rows) > _MOST_COLUMNS:
        lines += [f"… and {len(rows) - _MOST_COLUMNS:,} more columns.", ""]
    return lines


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()
) -> List[str]:
    marks = ["---:" if index in right else "---" for index in range(len(head))]
    lines = [head, marks, *rows]
    return [f"| {' | '.join(line)} |" for line in lines] + [""]


def _cell(text: str) -> str:
    """Keep a value from being anything else than text in a table."""
    flat = " ".join(text.split())
    for sign in "\\|`*_<>[]":
        flat = flat.replace(
            sign, f"\\{sign}" if sign not in "<>" else {"<": "&lt;", ">": "&gt;"}[sign]
        )
    return flat


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.5g}"


def _distinct(found: Mapping[str, Any]) -> str:
    return f"{found['distinct']:,}" if "distinct" in found else "many"


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if total else "-"


def _bars(histogram: Any) -> str:
    if not histogram:
        return ""
    most = max(histogram["counts"]) or 1
    return "".join(
        _BARS[min(7, 8 * count // (most + 1))] if count else " " for count in histogram["counts"]
    ).replace(" ", "·")


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return ""
