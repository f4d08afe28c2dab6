from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hfl_state

PUBLIC = {
    "BestMetric",
    "EarlyStopping",
    "PreemptionGuard",
    "ResumableLoader",
    "RngState",
    "ShuffleBuffer",
    "TrainingState",
    "__version__",
}
MODULES = [f"hfl_state.{module.name}" for module in pkgutil.iter_modules(hfl_state.__path__)]
README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_exactly_these_names_are_public():
    assert set(hfl_state.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(hfl_state, name) is not None


def test_importing_the_package_imports_no_framework():
    code = "import sys, hfl_state; print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_the_examples_in_the_readme_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
