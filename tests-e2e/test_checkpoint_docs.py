"""The pages about checkpoints and metadata: their Python runs as it stands there, and prints what is shown below it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
FOLDER = DOCS / "checkpoints"
# hub.md needs a Hub; the tests of hfl-checkpoint run it with one.
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "hub.md")
PAGES += sorted((DOCS / "metadata").glob("*.md"))
BLOCK = re.compile(
    r"(?:^<!-- needs: (?P<needs>\w+) -->\n)?^```python\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
MARK = "=== end of a block ==="


def blocks(page: Path) -> List[Tuple[str, str]]:
    """Code and expected output of each block that can run here."""
    return [
        (found["code"], found["output"] or "")
        for found in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if not found["needs"] or importlib.util.find_spec(found["needs"])
    ]


@pytest.mark.parametrize("page", PAGES, ids=[f"{page.parent.name}/{page.stem}" for page in PAGES])
def test_the_code_of_a_page_runs_and_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    found = blocks(page)
    script = tmp_path / "page.py"
    script.write_text(f"\nprint({MARK!r})\n".join(code for code, _ in found), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(f"{MARK}\n")
    for output, (code, expected) in zip(printed, found):
        assert not expected or output == expected, code
