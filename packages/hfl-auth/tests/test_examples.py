from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
from pathlib import Path

import pytest

import hfl_auth

README = Path(__file__).parents[1] / "README.md"
MODULES = sorted(module.name for module in pkgutil.iter_modules(hfl_auth.__path__))
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(f"hfl_auth.{name}")).failed == 0


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_examples_in_the_readme_print_what_they_say(number, local_hub, monkeypatch):
    block = BLOCKS[number]
    token = local_hub.create_user("ann", orgs={"lab": "write"}, token_name="laptop")
    work = local_hub.create_user("ann-at-work", orgs={"acme": "write"}, token_name="work")
    monkeypatch.delenv("HF_TOKEN")
    from hfl_auth import AuthManager

    AuthManager().login(work, profile="work")
    AuthManager().login(token, profile="home")
    printed = io.StringIO()
    names = {"__name__": "example", "token": token, "endpoint": local_hub.endpoint}
    with contextlib.redirect_stdout(printed):
        exec(compile(block, str(README), "exec"), names)
    said = re.findall(r"^ *#> (.*)$", block, re.MULTILINE)
    assert (
        printed.getvalue().replace(local_hub.endpoint, "http://127.0.0.1:8765").splitlines() == said
    )
