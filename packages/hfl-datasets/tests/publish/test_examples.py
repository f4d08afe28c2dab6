from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
from pathlib import Path

import pyarrow as pa
import pytest
from sklearn.datasets import load_digits

import hfl_datasets
from hfl_datasets import DatasetManager

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def _examples():
    for module in pkgutil.walk_packages(hfl_datasets.__path__, "hfl_datasets."):
        for test in doctest.DocTestFinder().find(importlib.import_module(module.name)):
            if test.examples and test.globs["__name__"] == module.name:
                yield test


EXAMPLES = list(_examples())


@pytest.fixture
def nothing(hub, dataset):
    """Ann has no dataset."""
    for found in DatasetManager("ann/x").repo.list(limit=None):
        dataset(found.repo_id).repo.delete(confirm=found.repo_id)


@pytest.fixture
def at_home(nothing, dataset, publish):
    """Ann has `ann/digits` in one version and `ann/flowers` with a row, as the examples take it."""
    digits = load_digits()
    table = pa.table({"label": digits.target, "image": list(digits.data)})
    publish(dataset("ann/digits"), table, version="1.0.0", verify=False)
    publish(dataset("ann/flowers"), [{"petal": 1.4, "kind": "setosa"}], verify=False)


ON_A_HUB = [
    test for test in EXAMPLES if any("DatasetManager" in each.source for each in test.examples)
]
HERE = [test for test in EXAMPLES if test not in ON_A_HUB]


def run(example) -> None:
    example.globs.setdefault("DatasetManager", DatasetManager)
    said = io.StringIO()
    results = doctest.DocTestRunner().run(example, out=said.write)
    assert results.failed == 0, said.getvalue()


@pytest.mark.parametrize("example", ON_A_HUB, ids=[test.name for test in ON_A_HUB])
def test_the_examples_in_docstrings_run_on_a_hub(example, at_home) -> None:
    run(example)


@pytest.mark.parametrize("example", HERE, ids=[test.name for test in HERE])
def test_the_examples_in_docstrings_run(example) -> None:
    run(example)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_examples_in_the_readme_print_what_they_say(number, nothing) -> None:
    block = BLOCKS[number]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, str(README), "exec"), {"__name__": "example"})
    assert printed.getvalue().splitlines() == re.findall(r"^ *#> (.*)$", block, re.MULTILINE)
