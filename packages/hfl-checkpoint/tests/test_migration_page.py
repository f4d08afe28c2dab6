"""The page on migration: every block of Python in it runs, one after the other."""

from __future__ import annotations

import pathlib
import re
from typing import Any, Dict

import pytest

from hfl_checkpoint import _codec

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "checkpoints" / "migration.md"


@pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not beside an unpacked sdist")
def test_the_blocks_of_the_page_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_codec, "_CUSTOM", dict(_codec._CUSTOM))
    namespace: Dict[str, Any] = {"__name__": "__main__"}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

    assert len(blocks) >= 4
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), namespace)
