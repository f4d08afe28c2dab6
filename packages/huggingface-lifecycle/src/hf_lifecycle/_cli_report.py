"""``hfl report``: what a run was, as a page, in Markdown or as JSON."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["report"]

_SUFFIXES = {".html": "html", ".htm": "html", ".md": "md", ".json": "json"}


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; '-' for standard output. A page goes to RUN-report.html without it.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["html", "md", "json"]),
    help="How it is written; the ending of the file's name without it, else html.",
)
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME", help="Only this metric; may be repeated."
)
def report(
    *, run: Path, target: Path | None, format_: str | None, metrics: tuple[str, ...]
) -> None:
    """Report what the training RUN was.

    Its metrics checkpoint by checkpoint, its timeline across resumes and what changed between them, where the
    time went, code, environment, model and hyperparameters: from the files in the run's directory,
    which is not changed. The page is one file that needs no network.

    \b
    Examples:
      hfl report runs/digits
      hfl report runs/digits --output report.md
      hfl report runs/digits --format json | jq .metrics.loss.min
    """
    import json

    from hf_lifecycle._report import _html, _markdown
    from hf_lifecycle._report._facts import gather
    from hfl_core import write_atomically

    kind = format_ or _SUFFIXES.get("" if target is None else target.suffix.lower(), "html")
    found = gather(run, metrics=metrics)
    if kind == "json":
        text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    else:
        text = _html.write(found) if kind == "html" else _markdown.write(found)
    if target is None and kind == "html":
        target = Path(f"{found['name']}-report.html")
    if target is None or str(target) == "-":
        click.echo(text, nl=False)
        return
    write_atomically(target, text)
    click.echo(str(target))
