"""The guide to retention does what it says, from top to bottom."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any, Dict

import pytest

GUIDE = Path(__file__).parents[1] / "docs" / "checkpoints" / "retention.md"


def test_the_blocks_of_the_guide_run_and_print_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HFL_KEEP", raising=False)
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    names: Dict[str, Any] = {"__name__": "guide"}
    printed = io.StringIO()
    for block in blocks:
        with contextlib.redirect_stdout(printed):
            exec(compile(block, str(GUIDE), "exec"), names)
    said = re.findall(r"^ *#> (.*)$", "\n".join(blocks), re.MULTILINE)
    assert printed.getvalue().splitlines() == said
