"""Disks that are full: the save fails, makes room, or waits for room."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any, Callable, List, Tuple

import pytest
import torch

from hfl_checkpoint import KeepAll, KeepBest, KeepLast
from hfl_checkpoint._space import bound
from hfl_core import DiskSpaceError

MEBIBYTE = 1 << 20


def big(mebibytes: float) -> torch.nn.Module:
    return torch.nn.Linear(1, int(mebibytes * MEBIBYTE / 8))  # weight and bias, four bytes each


def steps(manager: Any) -> List[int]:
    return [item.step for item in manager.checkpoints()]


class Quota:
    """A limit on the bytes under a directory, as the system's own: it shows when it is reached."""

    def __init__(self, directory: Path, mebibytes: float) -> None:
        self.directory = directory
        self.limit = int(mebibytes * MEBIBYTE)
        self.refused = 0
        self.was_refused = threading.Event()

    def __call__(self, operation: str, path: Path) -> None:
        if operation != "write":
            return
        files = [item for item in self.directory.rglob("*") if item.is_file()]
        if sum(item.stat().st_size for item in files) + MEBIBYTE > self.limit:
            self.refused += 1
            self.was_refused.set()
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(path))


@pytest.fixture
def limited(run_path: Path, open_manager: Any) -> Callable[..., Tuple[Any, Quota]]:
    """Open a manager under a quota in which two checkpoints of 4 MiB fit."""

    def open_one(**options: Any) -> Tuple[Any, Quota]:
        quota = Quota(run_path, 11)
        manager = open_manager(observer=quota, **options)
        manager._room.poll_seconds = 0.01
        return manager, quota

    return open_one


@pytest.fixture
def staging(run_path: Path) -> Callable[[], List[Path]]:
    return lambda: list((run_path / ".staging").iterdir())


def test_a_used_up_quota_is_a_full_disk_and_leaves_nothing(
    limited: Any, staging: Any, tree: Any, run_path: Path
) -> None:
    manager, _ = limited(keep=KeepLast(3))
    manager.save(1, model=big(4))
    manager.save(2, model=big(4))
    before = tree(run_path)
    with pytest.raises(DiskSpaceError, match="Could not save step 3") as caught:
        manager.save(3, model=big(4))
    assert os.strerror(errno.EDQUOT) in caught.value.message
    assert tree(run_path) == before
    assert staging() == []
    assert manager.verify(2).ok


def test_pruning_deletes_what_would_go_anyway_and_tries_again(
    limited: Any, staging: Any, caplog: pytest.LogCaptureFixture
) -> None:
    manager, quota = limited(keep=KeepLast(2), when_full="prune")
    for step in range(1, 6):
        manager.save(step, model=big(4))
        assert manager.verify("latest").ok
        assert staging() == []
    assert quota.refused >= 3
    assert steps(manager) == [4, 5]
    assert "step-00000003 made way for step 5 before it is written" in caplog.text


def test_pruning_spares_what_the_policy_wants_beside_the_new_one(limited: Any) -> None:
    manager, _ = limited(keep=KeepLast(1) | KeepBest("loss"), when_full="prune")
    manager.save(1, metrics={"loss": 0.1}, model=big(4))
    manager.save(2, metrics={"loss": 0.5}, model=big(4))
    # The second is the newest verified one: it stays until the third is safe.
    with pytest.raises(DiskSpaceError):
        manager.save(3, metrics={"loss": 0.5}, model=big(4))
    assert steps(manager) == [1, 2]
    # A better one makes the first superfluous.
    manager.save(3, metrics={"loss": 0.01}, model=big(4))
    assert steps(manager) == [3]


def test_pruning_never_touches_the_newest_or_pinned_ones(limited: Any) -> None:
    manager, _ = limited(keep=KeepLast(1), when_full="prune")
    manager.save(1, model=big(4))
    manager.pin(1, "baseline")
    manager.save(2, model=big(4))
    with pytest.raises(DiskSpaceError):
        manager.save(3, model=big(4))
    assert steps(manager) == [1, 2]
    manager.unpin(1)
    manager.save(3, model=big(4))
    assert steps(manager) == [3]


def test_pruning_that_does_not_suffice_raises_and_keeps_the_newest(limited: Any) -> None:
    manager, quota = limited(keep=KeepLast(2), when_full="prune")
    manager.save(1, model=big(4))
    manager.save(2, model=big(4))
    quota.limit = 6 * MEBIBYTE
    with pytest.raises(DiskSpaceError):
        manager.save(3, model=big(4))
    assert steps(manager)[-1] == 2
    assert manager.verify(2).ok


def test_a_pause_ends_when_there_is_room(
    limited: Any, staging: Any, caplog: pytest.LogCaptureFixture
) -> None:
    told: List[str] = []
    manager, quota = limited(background=True, when_full="pause", notify=told.append)
    manager.save(1, model=big(4)).result()
    manager.save(2, model=big(4)).result()
    quota.was_refused.clear()
    pending = manager.save(3, model=big(4))
    assert quota.was_refused.wait(60)
    assert not pending.done()
    quota.limit = 40 * MEBIBYTE
    assert pending.result(60).step == 3
    assert steps(manager) == [1, 2, 3]
    assert staging() == []
    assert len(told) == 2
    assert "The save of step 3 waits for room, at most 3600 s" in told[0]
    assert told[1] == "There was room again: step 3 is saved."
    assert told[0] in caplog.text


def test_a_pause_has_a_limit(limited: Any) -> None:
    manager, quota = limited(when_full="pause")
    manager._room.pause_seconds = 0.05
    manager.save(1, model=big(4))
    manager.save(2, model=big(4))
    quota.refused = 0
    with pytest.raises(DiskSpaceError, match="Could not save step 3"):
        manager.save(3, model=big(4))
    assert quota.refused > 1
    assert steps(manager) == [1, 2]


def test_a_message_that_cannot_be_sent_does_not_cost_the_save(
    limited: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def send(text: str) -> None:
        quota.limit = 40 * MEBIBYTE
        raise ConnectionError("the messenger is down")

    manager, quota = limited(when_full="pause", notify=send)
    for step in (1, 2, 3):
        manager.save(step, model=big(4))
    assert steps(manager) == [1, 2, 3]
    assert "the notification failed" in caplog.text


def test_other_errors_are_neither_pruned_nor_waited_for(open_manager: Any) -> None:
    def fail(operation: str, path: Path) -> None:
        if operation == "write":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    for when_full in ("prune", "pause"):
        manager = open_manager(observer=fail, when_full=when_full)
        with pytest.raises(OSError, match="Input/output error"):
            manager.save(1, model=big(0.1))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (KeepAll(), None),
        (KeepLast(3), 3),
        (KeepLast(3) | KeepBest("loss", n=2), 5),
        (KeepLast(3) | KeepAll(), None),
        (KeepLast(3) & KeepBest("loss", n=2), 2),
        (KeepAll() & KeepAll(), None),
    ],
)
def test_policies_have_bounds(policy: Any, expected: Any) -> None:
    assert bound(policy) == expected


@pytest.mark.parametrize(
    ("keep", "warned"), [(KeepLast(3), True), (KeepLast(1), False), (KeepAll(), False)]
)
def test_the_first_save_warns_when_the_policy_s_checkpoints_will_not_fit(
    keep: Any, warned: bool, small_disk: Any, open_manager: Any, caplog: pytest.LogCaptureFixture
) -> None:
    manager = open_manager(small_disk(10) / "run", keep=keep)
    manager.save(1, model=big(3))
    assert ("the disk will be full soon" in caplog.text) is warned
    caplog.clear()
    manager.save(2, model=big(3))
    assert "the disk will be full soon" not in caplog.text
