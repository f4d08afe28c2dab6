"""What people do to a run's directory behind our back is said, and costs nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, List

import pytest

from hfl_checkpoint import KeepLast, _canonical


def on_disk(run: Path) -> List[str]:
    return sorted(path.name for path in run.iterdir() if path.is_dir() and path.name[0] != ".")


def save(manager: Any, live: Any, *steps: int) -> None:
    for step in steps:
        manager.save(step, **live(step).components)


def copy(source: Path, target: Path) -> None:
    shutil.copytree(str(source), str(target))


@pytest.mark.parametrize("name", ["step-00000002-copy", "a-copy", "step-00000003-copy"])
def test_a_copy_beside_its_original_does_not_count_and_is_never_deleted(
    name: str, open_manager: Any, live: Any, run_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    original = name.replace("-copy", "") if name.startswith("step") else "step-00000002"
    save(open_manager(), live, 1, 2, 3)
    copy(run_path / original, run_path / name)
    manager = open_manager(keep=KeepLast(1))
    assert [item.step for item in manager.checkpoints()] == [1, 2, 3]
    assert manager.remarks() == [
        f"{name} is a copy of {original}; it does not count, and is never deleted"
    ]
    report = manager.resume(**live().components)
    assert report.checkpoint.name == "step-00000003"
    assert report.warnings == tuple(manager.remarks())
    assert caplog.text.count("is a copy of") == 1
    save(manager, live, 4, 5)
    assert on_disk(run_path) == sorted(["step-00000005", name])
    state = live()
    assert manager.restore(name, **state.components).checkpoint.name == name
    assert state.stands_at == (3 if "3" in name else 2)


def test_a_checkpoint_that_somebody_renamed_counts_and_stays(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    save(open_manager(), live, 1, 2)
    (run_path / "step-00000001").rename(run_path / "good-one")
    manager = open_manager(keep=KeepLast(1))
    assert [item.name for item in manager.checkpoints()] == ["good-one", "step-00000002"]
    assert manager.remarks() == []
    manager.resume(**live().components)
    save(manager, live, 3, 4)
    assert on_disk(run_path) == ["good-one", "step-00000004"]
    assert manager.clean().protected[0].reason == "somebody gave it this name"


def test_a_manifest_that_does_not_tell_its_name_is_read_as_before(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    save(open_manager(), live, 1, 2)
    for path in sorted(run_path.glob("step-*/manifest.json")):
        document = _canonical.load(path)
        del document["name"]
        path.chmod(0o644)
        path.write_bytes(_canonical.dump(document))
    copy(run_path / "step-00000001", run_path / "step-00000001-copy")
    manager = open_manager(keep=KeepLast(1))
    assert manager.resume(**live().components).checkpoint.step == 2
    assert [item.name for item in manager.checkpoints()] == ["step-00000001", "step-00000002"]
    save(manager, live, 3)
    assert on_disk(run_path) == ["step-00000001-copy", "step-00000003"]


def test_merged_copies_of_a_run_are_mentioned_and_ordered_by_time(
    open_manager: Any, live: Any, run_path: Path, memory_path: Path
) -> None:
    save(open_manager(), live, 1)
    other = memory_path / "other"
    copy(run_path, other)
    for directory, step in ((run_path, 5), (other, 3)):
        manager = open_manager(directory)
        manager.resume(**live().components)
        save(manager, live, step)
    copy(other / "step-00000003", run_path / "step-00000003")
    manager = open_manager(keep=KeepLast(2))
    assert [item.step for item in manager.checkpoints()] == [1, 5, 3]
    (remark,) = manager.remarks()
    assert remark.startswith("step-00000003 and step-00000005 have the same place (2)")
    manager.resume(**live().components)
    save(manager, live, 6)
    assert [(item.step, item.sequence) for item in manager.checkpoints()] == [(3, 2), (6, 3)]


def test_a_checkpoint_without_its_manifest_is_mentioned(
    open_manager: Any, live: Any, run_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(open_manager(), live, 1, 2)
    (run_path / "plots").mkdir()
    (run_path / "step-00000002" / "manifest.json").unlink()
    manager = open_manager()
    report = manager.resume(**live().components)
    assert report.checkpoint.step == 1
    assert report.warnings == (
        "step-00000002 holds files of a checkpoint and no manifest.json, so it is none and is ignored",
    )
    assert "step-00000002 holds files of a checkpoint" in caplog.text
    (run_path / "step-00000001" / "manifest.json").unlink()
    caplog.clear()
    assert open_manager().resume(**live().components) is None
    assert "step-00000001 holds files of a checkpoint" in caplog.text
