"""The examples in docstrings run, and print what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import hfl_metadata


def test_the_examples_in_docstrings_print_what_they_say():
    names = [item.name for item in pkgutil.walk_packages(hfl_metadata.__path__, "hfl_metadata.")]
    results = {name: doctest.testmod(importlib.import_module(name)) for name in names}
    assert [name for name, result in results.items() if result.failed] == []
    assert sum(result.attempted for result in results.values()) > 15
