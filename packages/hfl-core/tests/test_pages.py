"""The pages on logs, notifications, timing and retries: every block of Python in them runs."""

from __future__ import annotations

import importlib.util
import logging
import re
from pathlib import Path
from typing import Any, Iterator

import pytest

PAGES = Path(__file__).parents[3] / "docs" / "core"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("NOTIFY_URLS", raising=False)
    levels = {name: logging.getLogger(name).level for name in ("transformers", "datasets")}
    yield
    from hfl_core import configure_logging, set_log_context

    set_log_context(run=None, step=None)
    configure_logging()
    root = logging.getLogger("hfl")
    for handler in [each for each in root.handlers if getattr(each, "is_hfl", False)]:
        root.removeHandler(handler)
    root.setLevel(logging.NOTSET)
    assert levels == {name: logging.getLogger(name).level for name in levels}


@pytest.mark.skipif(not PAGES.is_dir(), reason="the documentation is not beside an unpacked sdist")
@pytest.mark.parametrize("name", ["logging", "notifications", "timing", "retry"])
def test_the_blocks_of_a_page_run(name: str):
    page = PAGES / f"{name}.md"
    namespace: dict[str, Any] = {"__name__": "__main__"}
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        if "hfl_checkpoint" in block and importlib.util.find_spec("hfl_checkpoint") is None:
            continue  # this package alone is installed
        exec(compile(block, str(page), "exec"), namespace)
