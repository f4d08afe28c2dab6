"""The examples in the pages about sources, validation and splits, and in the docstrings behind them."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import re
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[3] / "docs" / "datasets"
BLOCKS = [
    (name, block)
    for name in ("concepts", "splits", "validation")
    if PAGES.is_dir()  # the documentation is not beside an unpacked sdist
    for block in re.findall(
        r"```python\n(.*?)```", (PAGES / f"{name}.md").read_text("utf-8"), re.DOTALL
    )
]
MODULES = [
    "_sources._open",
    "_sources._model",
    "_split_checks",
    "_splits",
    "_validate._check",
    "_validate._expectations",
    "_validate._fingerprints",
    "_validate._names",
    "_validate._report",
]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_examples_in_the_pages_print_what_they_say(number: int) -> None:
    name, block = BLOCKS[number]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, name, "exec"), {"__name__": "example"})
    assert printed.getvalue().splitlines() == re.findall(r"^ *#> (.*)$", block, re.MULTILINE)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"hfl_datasets.{name}"))
    assert results.attempted
    assert not results.failed


@pytest.mark.skipif(not PAGES.is_dir(), reason="the documentation is not beside an unpacked sdist")
def test_the_page_about_validation_lists_every_rule() -> None:
    from hfl_datasets._validate._rules import RULES

    text = (PAGES / "validation.md").read_text("utf-8")
    for rule in RULES.values():
        assert f"| `{rule.name}` | {rule.severity} | {rule.looks_for} |" in text
