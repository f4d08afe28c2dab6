"""Directories that somebody else has made, or put things into."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from hfl_checkpoint import CheckpointManager, KeepLast
from hfl_core import ConfigError


@pytest.mark.parametrize("folder", [".staging", ".trash", ".leases", ".quarantine"])
def test_an_inner_folder_that_leads_elsewhere_is_refused(
    tmp_path: Path, run_path: Path, open_manager: Any, live: Any, tree: Any, folder: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis.txt").write_text("years of work")
    run_path.mkdir(exist_ok=True)
    (run_path / folder).symlink_to(elsewhere, target_is_directory=True)
    manager = open_manager(keep=KeepLast(1))
    with pytest.raises(ConfigError, match="symbolic link"):
        manager.save(1, **live(1).components)
    with pytest.raises(ConfigError, match="symbolic link"):
        manager.clean(dry_run=False)
    assert (elsewhere / "thesis.txt").read_text() == "years of work"


def test_a_pipe_in_place_of_a_manifest_is_damage_and_no_wait(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    manager = open_manager()
    manager.save(1, **live(1).components)
    manager.save(2, **live(2).components)
    manifest = run_path / "step-00000002" / "manifest.json"
    manifest.unlink()
    os.mkfifo(manifest)
    report = open_manager().resume(**live().components)
    assert report.checkpoint.step == 1
    assert report.quarantined == ("step-00000002",)


@pytest.mark.parametrize(
    "text", ['{"format": 1, "sequence": NaN}', '{"format": 1, "x": 1e999}', "[" * 200_000]
)
def test_an_absurd_manifest_is_damage(
    open_manager: Any, live: Any, run_path: Path, text: str
) -> None:
    manager = open_manager()
    manager.save(1, **live(1).components)
    manager.save(2, **live(2).components)
    manifest = run_path / "step-00000002" / "manifest.json"
    manifest.unlink()
    manifest.write_text(text)
    assert open_manager().resume(**live().components).checkpoint.step == 1


def test_a_checkpoint_is_not_taken_for_a_run(open_manager: Any, live: Any, run_path: Path) -> None:
    open_manager().save(1, **live(1).components)
    with pytest.raises(ConfigError, match="is a checkpoint, and a run is the directory around it"):
        CheckpointManager(run_path / "step-00000001")


def test_saves_from_two_threads_hold_what_each_of_them_saved(run_path: Path) -> None:
    with CheckpointManager(run_path) as manager:

        def save(start: int) -> None:
            for step in range(start, start + 8):
                manager.save(step, numbers={"step": step, "tensor": torch.full((1000,), step)})

        threads = [threading.Thread(target=save, args=(start,)) for start in (100, 200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = CheckpointManager(run_path)
    assert len(found.checkpoints()) == 16
    for item in found.checkpoints():
        numbers = found.load(item)["numbers"]
        assert numbers["step"] == item.step
        assert torch.equal(numbers["tensor"], torch.full((1000,), item.step))
