"""A save at every instant: what fails, or dies, leaves the checkpoints that were there."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any, List, Tuple

import pytest

from hfl_checkpoint import CheckpointExistsError, CheckpointManager, KeepLast
from hfl_core import DiskSpaceError, Files, HflError

Log = List[Tuple[str, str]]


class Recorder:
    """Writes down every operation, with paths relative to the run."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self.log: Log = []

    def __call__(self, operation: str, path: Path) -> None:
        self.log.append((operation, Path(os.path.relpath(path, self._run)).as_posix()))


class FailAt:
    """Fails the n-th operation, counted from 1."""

    def __init__(self, n: int, code: int = errno.ENOSPC) -> None:
        self.n = n
        self.count = 0
        self.code = code

    def __call__(self, operation: str, path: Path) -> None:
        self.count += 1
        if self.count == self.n:
            raise OSError(self.code, os.strerror(self.code), str(path))


def names(manager: CheckpointManager) -> List[str]:
    return [checkpoint.name for checkpoint in manager.checkpoints()]


def debris(run: Path) -> List[str]:
    inner = [path for name in (".staging", ".trash") for path in (run / name).rglob("*")]
    return sorted(str(path) for path in [*inner, *run.glob(".*.tmp")])


def test_every_file_and_directory_is_flushed_before_the_rename_and_its_parent_after(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    recorder = Recorder(run_path)
    open_manager(observer=recorder).save(1, **live(1).components)
    log = recorder.log
    stage = next(path for operation, path in log if operation == "mkdir" and "step-1-" in path)
    renamed = log.index(("rename", "step-00000001"))
    before, after = log[:renamed], log[renamed + 1 :]

    files = [path for op, path in before if op == "create" and path.startswith(f"{stage}/")]
    folders = [path for op, path in before if op == "mkdir" and path.startswith(stage)]
    assert {Path(path).name for path in files} >= {"model.safetensors", "manifest.json"}
    for path in files:
        last_write = max(i for i, entry in enumerate(before) if entry == ("write", path))
        assert ("fsync", path) in before[last_write:], f"{path} is not flushed after it is written"
    for folder in folders:
        children = [
            i
            for i, (op, path) in enumerate(before)
            if op in ("create", "mkdir") and Path(path).parent == Path(folder)
        ]
        assert ("fsync", folder) in before[max(children) :], f"{folder} is not flushed"
    assert files[-1] == f"{stage}/manifest.json", "the manifest comes last"
    assert after[0] == ("fsync", "."), "the new name is flushed first of all"


def test_the_directories_of_a_new_run_are_flushed_into_their_parents(
    open_manager: Any, live: Any, tmp_path: Path
) -> None:
    recorder = Recorder(tmp_path)
    open_manager(tmp_path / "runs/digits", observer=recorder).save(1, **live(1).components)
    log = recorder.log
    for folder, parent in (("runs", "."), ("runs/digits", "runs")):
        made = log.index(("mkdir", folder))
        assert ("fsync", parent) in log[made:]
    assert log.index(("fsync", "runs")) < log.index(("rename", "runs/digits/step-00000001"))


def test_old_checkpoints_go_only_after_the_new_one_is_durable(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    manager = open_manager(keep=KeepLast(1))
    manager.save(1, **live(1).components)
    recorder = Recorder(run_path)
    manager._run.files = Files(recorder)
    manager.save(2, **live(2).components)
    committed = recorder.log.index(("rename", "step-00000002"))
    deleted = [i for i, (op, path) in enumerate(recorder.log) if "step-00000001" in path]
    assert recorder.log[committed + 1] == ("fsync", ".")
    assert deleted
    assert min(deleted) > committed + 1


def test_a_failure_at_any_operation_leaves_the_previous_checkpoint_newest(
    open_manager: Any, live: Any, memory_path: Path
) -> None:
    raised = committed = 0
    for n in range(1, 500):
        run = memory_path / str(n)
        manager = open_manager(run, keep=KeepLast(1))
        manager.save(1, **live(1).components)
        observer = FailAt(n)
        manager._run.files = Files(observer)
        try:
            manager.save(2, **live(2).components)
            newest = 2
            committed += 1
        except DiskSpaceError:
            newest = 1
            raised += 1
            assert names(manager) == ["step-00000001"], f"operation {n}"
            assert debris(run) == [], f"operation {n} left debris"
        fresh = open_manager(run, keep=KeepLast(1))
        assert fresh.latest().step == newest, f"operation {n}"
        assert fresh.verify().ok
        state = live()
        fresh.resume(**state.components)
        assert state.stands_at == newest
        fresh.save(3, **state.move_to(3).components)
        assert names(fresh) == ["step-00000003"]
        assert debris(run) == []
        assert len([p for p in run.iterdir() if not p.name.startswith(".") and p.is_dir()]) == 1
        if observer.count < n:
            break
    assert raised > 30
    assert committed > 3


def test_a_failure_at_any_operation_of_the_first_save_of_a_run_leaves_a_run_that_can_save(
    open_manager: Any, live: Any, memory_path: Path
) -> None:
    for n in range(1, 500):
        run = memory_path / str(n) / "run"
        observer = FailAt(n)
        manager = open_manager(run, observer=observer)
        try:
            manager.save(1, **live(1).components)
        except DiskSpaceError:
            assert manager.latest() is None
            manager.save(1, **live(1).components)
        assert names(manager) == ["step-00000001"]
        assert open_manager(run).resume(**live().components).checkpoint.step == 1
        if observer.count < n:
            return
    raise AssertionError("the operations never end")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_a_used_up_quota_and_a_size_limit_are_one_error(
    open_manager: Any, live: Any, code: int
) -> None:
    manager = open_manager(observer=FailAt(30, code))
    with pytest.raises(DiskSpaceError, match=os.strerror(code)) as caught:
        manager.save(7, **live(7).components)
    assert "save step 7" in caught.value.message
    assert "keep fewer checkpoints" in str(caught.value.hint)
    assert isinstance(caught.value, OSError)


def test_another_error_of_the_disk_reaches_the_caller_as_it_is(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    manager = open_manager(observer=FailAt(20, errno.EIO))
    with pytest.raises(OSError, match="Input/output error") as caught:
        manager.save(1, **live(1).components)
    assert not isinstance(caught.value, HflError)
    assert debris(run_path) == []


def test_a_save_that_fails_can_be_repeated(open_manager: Any, live: Any) -> None:
    manager = open_manager(observer=FailAt(20))
    with pytest.raises(DiskSpaceError):
        manager.save(5, **live(5).components)
    assert manager.save(5, **live(5).components).name == "step-00000005"


def test_the_step_that_was_saved_last_is_not_saved_again(
    open_manager: Any, live: Any, run_path: Path, tree: Any
) -> None:
    manager = open_manager()
    manager.save(5, **live(5).components)
    before = tree(run_path)
    with pytest.raises(CheckpointExistsError, match="Step 5 is already saved as 'step-00000005'"):
        manager.save(5, **live(6).components)
    assert tree(run_path) == before


def test_committed_files_are_read_only(open_manager: Any, live: Any) -> None:
    path = open_manager().save(1, **live(1).components).path
    files = [file for file in path.rglob("*") if file.is_file()]
    assert len(files) > 4
    assert [file.name for file in files if file.stat().st_mode & 0o222] == []


def test_a_commit_that_cannot_be_flushed_is_taken_back(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    manager = open_manager()
    manager.save(1, **live(1).components)
    renamed = []

    def fail_after_the_rename(operation: str, path: Path) -> None:
        if renamed and operation == "fsync":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        if operation == "rename":
            renamed.append(path)

    manager._run.files = Files(fail_after_the_rename)
    with pytest.raises(DiskSpaceError):
        manager.save(2, **live(2).components)
    assert renamed
    assert names(open_manager()) == ["step-00000001"]
    assert debris(run_path) == []


def test_a_name_that_another_run_has_taken_gets_a_number(
    open_manager: Any, live: Any, caplog: pytest.LogCaptureFixture
) -> None:
    open_manager().save(5, **live(5).components)
    saved = open_manager().save(5, **live(6).components)
    assert saved.name == "step-00000005-2"
    assert "step-00000005 exists already" in caplog.text


def test_the_manifest_says_what_was_saved(open_manager: Any, live: Any) -> None:
    manager = open_manager()
    first = manager.save(1, epoch=0, metrics={"loss": 0.5}, reason="manual", **live(1).components)
    saved = manager.save(2, epoch=1, metrics={"loss": float("inf")}, **live(2).components)
    document = json.loads((saved.path / "manifest.json").read_text())
    assert document["format"] == 1
    assert document["sequence"] == 2
    assert document["parent"] == first.name
    assert document["epoch"] == 1
    assert document["world_size"] == 1
    assert document["metrics"] == {"loss": "inf"}
    assert set(document["components"]) == {"model", "optimizer", "counters"}
    on_disk = {p.relative_to(saved.path).as_posix() for p in saved.path.rglob("*") if p.is_file()}
    assert {entry["path"] for entry in document["files"]} == on_disk - {"manifest.json"}
    assert saved == manager.latest()
