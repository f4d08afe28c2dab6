"""Disks that fail and go on failing: what was committed stays, and all is well when they are back."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, List

import pytest

from hfl_checkpoint import CheckpointManager, KeepLast
from hfl_checkpoint._verify import verify
from hfl_core import DiskSpaceError, Files

from .conftest import mount


class FailFrom:
    """Fails the n-th operation and every one after it, until the disk is back."""

    def __init__(self, n: int, code: int, *, only: str | None = None) -> None:
        self.n, self.code, self.only = n, code, only
        self.count = 0
        self.is_back = False

    def __call__(self, operation: str, path: Path) -> None:
        self.count += 1
        if self.count >= self.n and not self.is_back and self.only in (None, operation):
            raise OSError(self.code, os.strerror(self.code), str(path))


def inner(run: Path) -> List[str]:
    return sorted(
        path.name for name in (".staging", ".trash", ".leases") for path in (run / name).glob("*")
    )


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_fails_for_a_while_costs_the_save_and_nothing_else(
    code: int, open_manager: Any, live: Any, memory_path: Path
) -> None:
    n, observer = 1 + code % 5, None
    while observer is None or observer.count >= n:
        n += 5
        run = memory_path / str(n)
        manager = open_manager(run, keep=KeepLast(2))
        for step in (1, 2):
            manager.save(step, **live(step).components)
        observer = FailFrom(n, code)
        manager._run.files = Files(observer)
        with contextlib.suppress(OSError):
            manager.save(3, **live(3).components)
        state = live()
        reader = open_manager(run)  # another process, while the disk still fails
        assert reader.latest().step in (2, 3)
        assert reader.restore(**state.components).checkpoint.step == state.stands_at
        observer.is_back = True
        manager.save(4, **live(4).components)
        assert [item.step for item in manager.checkpoints()] in ([2, 4], [3, 4])
        assert all(verify(item.path).ok for item in manager.checkpoints())
        assert inner(run) == [], f"operation {n}"
    assert n > 40


def test_a_disk_that_becomes_read_only_during_a_save_leaves_nothing_for_the_life_of_the_process(
    small_disk: Any, open_manager: Any, live: Any
) -> None:
    disk = small_disk(8)
    run = disk / "run"
    manager = open_manager(run, keep=KeepLast(1))
    manager.save(1, **live(1).components)

    def fail(operation: str, path: Path) -> None:
        if operation == "chmod" and not os.statvfs(disk).f_flag & os.ST_RDONLY:
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

    manager._run.files = Files(fail)
    with pytest.raises(OSError, match="Read-only"):
        manager.save(2, **live(2).components)
    state = live()
    assert open_manager(run).resume(**state.components).checkpoint.step == 1
    assert inner(run) != []  # nothing could be removed
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    manager._run.files = Files()
    manager.save(2, **live(2).components)
    assert inner(run) == []
    assert [item.step for item in manager.checkpoints()] == [2]


def test_a_file_system_without_inodes_is_a_full_disk(
    tmp_path: Path, open_manager: Any, live: Any
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk, "size=8m,nr_inodes=40")
    try:
        run = disk / "run"
        manager = open_manager(run)
        step = 1
        while (
            os.statvfs(disk).f_favail >= 12
        ):  # a checkpoint takes eight, and some while it is written
            manager.save(step, **live(step).components)
            step += 1
        assert step > 2
        with pytest.raises(DiskSpaceError, match="No space left"):
            manager.save(step, **live(step).components)
        assert [item.step for item in manager.checkpoints()] == list(range(1, step))
        assert inner(run) == []
        state = live()
        fresh = open_manager(run, keep=KeepLast(1))
        fresh.resume(**state.components)
        assert state.stands_at == step - 1
        fresh.clean(dry_run=False)
        fresh.save(step, **live(step).components)
        assert [item.step for item in fresh.checkpoints()] == [step]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("operation", ["create", "fsync", "rename"])
@pytest.mark.parametrize("lost", ["run", "staging", "stage"])
def test_a_directory_that_vanishes_during_a_save_is_an_error_and_the_next_save_works(
    operation: str, lost: str, open_manager: Any, live: Any, run_path: Path
) -> None:
    manager = open_manager(keep=KeepLast(1))
    manager.save(1, **live(1).components)
    is_done: List[bool] = []

    def vanish(found: str, path: Path) -> None:
        is_inside = ".staging" in path.parts or path.name == "step-00000002"
        if found == operation and is_inside and path.suffix != ".lease" and not is_done:
            is_done.append(True)
            staging = run_path / ".staging"
            stages = [item for item in staging.iterdir() if item.is_dir()]
            for place in {"run": [run_path], "staging": [staging], "stage": stages}[lost]:
                shutil.rmtree(place)

    manager._run.files = Files(vanish)
    with pytest.raises(OSError, match="No such file|not found"):
        manager.save(2, **live(2).components)
    assert is_done
    manager.save(3, **live(3).components)
    assert [item.step for item in manager.checkpoints()] == [3]
    state = live()
    assert CheckpointManager(run_path).resume(**state.components).checkpoint.step == 3
    assert state.stands_at == 3
    assert inner(run_path) == []
