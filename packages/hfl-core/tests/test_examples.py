from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import logging
import pkgutil
import re
from pathlib import Path

import pytest

import hfl_core
from hfl_core import Settings

README = Path(__file__).parents[1] / "README.md"
MODULES = sorted(module.name for module in pkgutil.iter_modules(hfl_core.__path__))
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(autouse=True)
def _nothing_of_the_person_who_runs_this(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield
    root = logging.getLogger("hfl")
    for handler in [each for each in root.handlers if getattr(each, "is_hfl", False)]:
        root.removeHandler(handler)
    root.setLevel(logging.NOTSET)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name: str):
    module = importlib.import_module(f"hfl_core.{name}")
    assert doctest.testmod(module).failed == 0


def test_the_docstrings_have_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [importlib.import_module(f"hfl_core.{name}") for name in MODULES]
    assert sum(bool(test.examples) for module in modules for test in finder.find(module)) >= 15


@pytest.mark.parametrize(
    "block", BLOCKS, ids=[re.findall(r"import (\w+)", block)[0] for block in BLOCKS]
)
def test_the_examples_in_the_readme_print_what_they_say(block: str):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, str(README), "exec"), {"__name__": "example"})
    said = re.findall(r"^ *#> (.*)$", block, re.MULTILINE)
    assert printed.getvalue().splitlines() == said


def test_the_readme_lists_every_setting_as_it_is():
    table = README.read_text(encoding="utf-8")
    for row in Settings.fields():
        default = "" if row.default is None else f"`{str(row.default).lower()}`"
        default = "the user's cache folder" if row.name == "cache_dir" else default
        assert re.search(
            rf"^\| `{row.name}` \| `{row.env}` \| {re.escape(default)} ?\| {re.escape(row.doc)} \|$",
            table,
            re.MULTILINE,
        )
