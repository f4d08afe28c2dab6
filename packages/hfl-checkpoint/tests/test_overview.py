"""How runs stand, for whoever looks after them: nothing is changed, whatever is found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hfl_checkpoint import CheckpointManager, find_runs, run_overview
from hfl_checkpoint._remote._queue import Target, UploadQueue
from hfl_checkpoint._run import RunDirectory
from hfl_core import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two runs at different depths, and things that are none."""
    for place in ("runs/a", "runs/deep/b"):
        CheckpointManager(tmp_path / place, background=False).save(1, counters={"seen": 1})
    (tmp_path / "runs/empty").mkdir()
    (tmp_path / "runs/file").write_text("not a run", encoding="utf-8")
    hidden = tmp_path / ".hidden/c"
    CheckpointManager(hidden, background=False).save(1, counters={"seen": 1})
    (tmp_path / "linked").symlink_to(hidden, target_is_directory=True)
    return tmp_path


def test_runs_are_found_wherever_they_lie_but_not_in_hidden_folders_or_behind_links(folder: Path):
    assert find_runs(folder) == [folder / "runs/a", folder / "runs/deep/b"]
    assert find_runs(folder, depth=2) == [folder / "runs/a"]
    assert find_runs(folder / "runs/a") == [folder / "runs/a"]
    assert find_runs(folder / "runs/a/step-00000001") == []
    assert find_runs(folder / "nowhere") == []


def test_a_run_tells_how_it_stands(open_manager: Any, live: Any, run_path: Path, tree: Any):
    manager = open_manager()
    for step in (1, 2):
        manager.save(step, metrics={"loss": 1 / step}, **live(step).components)
    before = tree(run_path)
    overview = run_overview(run_path)
    assert [item.step for item in overview.checkpoints] == [1, 2]
    assert overview.latest is not None
    assert overview.latest.step == 2
    assert (overview.problems, overview.hub, overview.waiting) == ((), None, ())
    on_disk = {(s.st_ino, s.st_size) for s in map(os.stat, run_path.rglob("step-*/**/*.*"))}
    assert overview.size == sum(size for _, size in on_disk)
    assert tree(run_path) == before


def test_what_does_not_exist_has_nothing_and_is_not_made(tmp_path: Path):
    overview = run_overview(tmp_path / "new")
    assert (overview.checkpoints, overview.latest, overview.size) == ((), None, 0)
    assert not (tmp_path / "new").exists()


def test_damage_is_told(open_manager: Any, live: Any, run_path: Path):
    manager = open_manager()
    for step in (1, 2):
        manager.save(step, **live(step).components)
    (run_path / "step-00000002/model.safetensors").unlink()
    manifest = run_path / "step-00000001/manifest.json"
    manifest.chmod(0o644)
    manifest.write_text("{", encoding="utf-8")
    problems = run_overview(run_path).problems
    assert len(problems) == 2
    assert "step-00000001" in problems[0]
    assert "step-00000002: model.safetensors" in problems[1]


def test_what_waits_for_the_hub_is_told(open_manager: Any, live: Any, run_path: Path):
    open_manager().save(1, **live(1).components)
    queue = UploadQueue(RunDirectory(run_path))
    with queue.change() as waiting:
        waiting.target = Target("me/digits", "checkpoints")
        waiting.pending = {"step-00000001": None, "step-00000000": "a token in config.json"}
    overview = run_overview(run_path)
    assert overview.hub == "me/digits@checkpoints"
    assert overview.waiting == ("step-00000001",)
    assert overview.refused == {"step-00000000": "a token in config.json"}


def test_a_file_is_no_run(tmp_path: Path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError):
        run_overview(tmp_path / "file")
