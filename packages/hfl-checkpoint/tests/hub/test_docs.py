"""The guide about the Hub prints what it says, and so does the example beside it."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[4] / "docs" / "checkpoints" / "hub.md"


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not part of the package")
def test_the_blocks_of_the_guide_print_what_they_say(tmp_path, monkeypatch, hub) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) > 3
    for block in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block, str(GUIDE), "exec"), {"__name__": "guide"})
        expected = re.findall(r"^#> (.*)$", block, re.MULTILINE)
        assert printed.getvalue().splitlines() == expected
