"""A report as one page that needs no other file, no script and no network."""

from __future__ import annotations

from html import escape
from typing import Any, Iterator, Mapping, Sequence

from hf_lifecycle._report import _words as words
from hf_lifecycle._report._charts import line_chart, stacked, time_bar
from hf_lifecycle._report._facts import points

__all__ = ["write"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --edge: #dfe4ea; --paper: #fff; --wash: #f5f7f9;
  --line: #0b6bcb; --mark: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --edge: #323b47; --paper: #14181e;
  --wash: #1b2129; --line: #6cb4ff; --mark: #fb923c; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto; padding: 2rem 1rem 4rem;
  max-width: 60rem; }
h1 { margin: 0; font-size: 1.9rem; overflow-wrap: anywhere; } h2 { margin: 2.4rem 0 .7rem; font-size: 1.15rem; }
h3 { margin: 1.2rem 0 .2rem; font-size: 1rem; font-weight: 600; } .lead, .note { color: var(--soft); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--edge); vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; } tbody th { font-weight: 600; white-space: nowrap; width: 1%; }
td { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; } td.name { white-space: nowrap; }
.wrong { border-left: 4px solid var(--mark); background: var(--wash); padding: .6rem 1rem; }
svg { width: 100%; height: auto; display: block; } svg text { font: 12px system-ui, sans-serif; fill: var(--soft); }
.grid { stroke: var(--edge); } .line { fill: none; stroke: var(--line); stroke-width: 2; } .dot, .bar { fill: var(--line); }
.bar { opacity: .55; } .tick { stroke: var(--mark); stroke-width: 2; }
.part0 { fill: var(--line); } .part1 { fill: #14919b; } .part2 { fill: var(--mark); } .part3 { fill: #8b95a3; }
.key { display: inline-block; width: .8em; height: .8em; margin-right: .5em; border-radius: 2px; }
.k0 { background: var(--line); } .k1 { background: #14919b; } .k2 { background: var(--mark); } .k3 { background: #8b95a3; }
@media print { body { max-width: none; } }
"""


def write(report: Mapping[str, Any]) -> str:
    """Write a report.

    Args:
        report: What `gather` found.

    Returns:
        The page.
    """
    title = escape(report["name"])
    body = "\n".join(_parts(report))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _parts(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h1>{escape(report['name'])}</h1>\n<p class=\"lead\">What this training run was.</p>"
    wrong = [*report["problems"], *report["remarks"]]
    if wrong:
        items = "".join(f"<li>{escape(text)}</li>" for text in wrong)
        yield f'<div class="wrong"><strong>What is wrong</strong><ul>{items}</ul></div>'
    yield _facts(words.overview(report))
    yield from _metrics(report)
    yield from _timeline(report)
    yield from _time(report)
    yield from _checkpoints(report)
    if report["hyperparameters"]:
        yield "<h2>Hyperparameters</h2>"
        yield _facts({name: words.value(it) for name, it in report["hyperparameters"].items()})
    for title, rows in words.sections(report).items():
        yield f"<h2>{title}</h2>"
        yield _facts(rows)
        if title == "Model" and report["modules"]:
            yield _modules(report["modules"])
    if report["changes"]:
        yield "<h2>What changed between sessions</h2>"
        yield _table(
            ("What", "Before", "After"),
            [
                (each["path"], words.value(each["before"]), words.value(each["after"]))
                for each in report["changes"]
            ],
        )


def _metrics(report: Mapping[str, Any]) -> Iterator[str]:
    charts = [(name, points(report, name)) for name in report["metrics"]]
    if any(found for _, found in charts):
        yield "<h2>Metrics</h2>"
    for name, found in charts:
        if found:
            yield f"<h3>{escape(name)}</h3>{line_chart(name, found)}"


def _timeline(report: Mapping[str, Any]) -> Iterator[str]:
    if not report["sessions"]:
        return
    saves = [(item["created_at"], item["name"]) for item in report["checkpoints"]]
    yield f"<h2>Timeline</h2>{time_bar(report['sessions'], saves)}"
    yield _table(
        ("When", "What"), [(words.moment(it["at"]), it["event"]) for it in report["timeline"]]
    )


def _time(report: Mapping[str, Any]) -> Iterator[str]:
    spent = words.spent(report)
    whole = sum(seconds for _, seconds in spent) or 1.0
    rows = "".join(
        f'<tr><th scope="row"><span class="key k{number}"></span>{escape(name)}</th>'
        f"<td>{words.length(seconds)}</td><td>{seconds / whole:.0%}</td></tr>"
        for number, (name, seconds) in enumerate(spent)
    )
    yield f"<h2>Where the time went</h2>{stacked(spent)}<table><tbody>{rows}</tbody></table>"
    if report["time"]["measured"] is None:
        yield f'<p class="note">{escape(words.UNMEASURED)}</p>'


def _checkpoints(report: Mapping[str, Any]) -> Iterator[str]:
    metrics = list(report["metrics"])
    rows = [
        (
            item["name"],
            item["step"],
            words.moment(item["created_at"]),
            item["reason"] + (" (pinned)" if item["pinned"] else ""),
            words.size(item["size"]),
            *(words.number(item["metrics"].get(name, "-")) for name in metrics),
        )
        for item in report["checkpoints"]
    ]
    yield "<h2>Checkpoints</h2>"
    yield _table(("Checkpoint", "Step", "Saved", "Why", "Size", *metrics), rows)


def _modules(rows: Sequence[Mapping[str, Any]]) -> str:
    shown = [
        (it["name"], it["type"], it["count"], f"{it['parameters']:,}", it["dtype"]) for it in rows
    ]
    return _table(("Module", "Class", "Count", "Parameters", "Type"), shown)


def _facts(rows: Mapping[str, str]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>'
        for name, text in rows.items()
    )
    return f'<div class="wide"><table><tbody>{lines}</tbody></table></div>'


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in header)
    body = "".join(
        "<tr>"
        + "".join(
            (
                f'<td class="name">{escape(str(cell))}</td>'
                if not n
                else f"<td>{escape(str(cell))}</td>"
            )
            for n, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
