"""The examples in docstrings, in the README, in the guides and beside them print what they say."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
from pathlib import Path

import pytest

import hfl_registry

ROOT = Path(__file__).parents[3]
GUIDES = [
    Path(__file__).parents[1] / "README.md",
    ROOT / "docs" / "registry" / "concepts.md",
    ROOT / "docs" / "registry" / "code.md",
    ROOT / "docs" / "registry" / "sharing.md",
]


def test_the_examples_in_docstrings_print_what_they_say(registry) -> None:
    from plain_sample import Tied

    registry.publish(Tied(6, 2), "ann/digits", validate=False)
    attempted = 0
    for item in pkgutil.walk_packages(hfl_registry.__path__, "hfl_registry."):
        module = importlib.import_module(item.name)
        context = {"ModelRegistry": hfl_registry.ModelRegistry}
        result = doctest.testmod(module, extraglobs=context)
        assert result.failed == 0, item.name
        attempted += result.attempted
    assert attempted > 15


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_the_blocks_of_a_guide_print_what_they_say(
    guide, tmp_path, monkeypatch, registry, warm_process
) -> None:
    if not guide.exists():
        pytest.skip("the guide is not part of the package")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {"__name__": "guide"}
    for block in re.findall(r"```python\n(.*?)```", guide.read_text("utf-8"), re.DOTALL):
        first = block.partition("\n")[0]
        if first.startswith("# file: "):
            path = tmp_path / first[len("# file: ") :].strip()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block, encoding="utf-8")
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block, str(guide), "exec"), found)
        expected = re.findall(r"^#> (.*)$", block, re.MULTILINE)
        assert printed.getvalue().splitlines() == expected
