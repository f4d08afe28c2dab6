from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hfl_core import MissingExtraError, import_extra

WITHOUT = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Gone())
"""


def test_an_extra_that_is_there_is_returned():
    assert import_extra("json", feature="JSON", extra="x[json]") is json
    assert import_extra("json", feature="JSON", extra="x[json]", required=False) is json


def test_a_feature_that_was_asked_for_is_an_error():
    with pytest.raises(MissingExtraError, match=r"Compression needs .* pip install 'x\[zip\]'"):
        import_extra("hfl_not_there", feature="compression", extra="x[zip]")


def test_a_feature_that_is_only_nicer_is_missed_once(caplog: pytest.LogCaptureFixture):
    for _ in range(3):
        found = import_extra("hfl_gone", feature="fancy bars", extra="x[bars]", required=False)
        assert found is None
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        "Fancy bars needs an optional dependency that is not installed. "
        "Install it with: pip install 'x[bars]' The rest goes on without it."
    )


def test_a_library_that_is_there_and_broken_is_not_called_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "hfl_broken.py").write_text("import hfl_needs_this\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingExtraError, match="'hfl_broken' cannot be imported .*hfl_needs_this"):
        import_extra("hfl_broken", feature="things", extra="x[things]")


@pytest.mark.parametrize(
    ("content", "is_missed"), [("HFL_TIMEOUT=7\n", True), ("OTHER=1\n", False)]
)
def test_an_env_file_that_cannot_be_read_is_missed_if_it_is_ours(
    tmp_path: Path, clean_env: dict[str, str], content: str, is_missed: bool
):
    (tmp_path / ".env").write_text(content)
    code = (
        WITHOUT.format(name="dotenv")
        + "from hfl_core import load_settings\nload_settings()\nprint(load_settings().timeout)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=clean_env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "30.0\n"
    assert done.stderr.count("pip install 'hfl-core[dotenv]'") == is_missed


NOTEBOOK = WITHOUT.format(name="tqdm") + """
from hfl_core import Progress
now = 0.0
with Progress(mode="notebook", every=1.0, clock=lambda: now) as progress:
    with progress.task("Saving", total=3) as task:
        for now in (0.5, 1.5, 2.0):
            task.advance()
"""


def test_a_notebook_without_tqdm_gets_lines(clean_env: dict[str, str]):
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK], env=clean_env, capture_output=True, text=True, check=True
    )
    assert "pip install 'hfl-core[notebook]'" in done.stderr
    assert "Saving: 2 / 3 (67%)" in done.stderr
