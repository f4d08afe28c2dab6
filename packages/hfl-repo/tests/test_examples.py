from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
from pathlib import Path

import pytest

import hfl_repo
from hfl_repo import RepoManager

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def _examples():
    for module in pkgutil.walk_packages(hfl_repo.__path__, "hfl_repo."):
        for test in doctest.DocTestFinder().find(importlib.import_module(module.name)):
            if test.examples and test.globs["__name__"] == module.name:
                yield test


EXAMPLES = list(_examples())


@pytest.fixture
def at_home(ann, manager):
    """Ann has one repository, `ann/digits`, as the examples take it to be."""
    for found in manager().list(limit=None):
        manager(found.repo_id).delete(confirm=found.repo_id)
    manager("ann/digits").create(private=True, license="mit")


@pytest.mark.parametrize("example", EXAMPLES, ids=[test.name for test in EXAMPLES])
def test_the_examples_in_docstrings_run(example, at_home) -> None:
    example.globs.setdefault("RepoManager", RepoManager)
    said = io.StringIO()
    results = doctest.DocTestRunner().run(example, out=said.write)
    assert results.failed == 0, said.getvalue()


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_examples_in_the_readme_print_what_they_say(number, at_home) -> None:
    block = BLOCKS[number]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, str(README), "exec"), {"__name__": "example"})
    assert printed.getvalue().splitlines() == re.findall(r"^ *#> (.*)$", block, re.MULTILINE)
