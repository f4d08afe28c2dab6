"""Disks that are full, small, read-only or somebody else's."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
import torch

from hfl_checkpoint import CheckpointManager, KeepLast
from hfl_core import DiskSpaceError, HflError, PermissionDeniedError

MEBIBYTE = 1 << 20
NOBODY = 65534


def big(mebibytes: float) -> torch.nn.Module:
    return torch.nn.Linear(1, int(mebibytes * MEBIBYTE / 8))  # weight and bias, four bytes each


def names(manager: CheckpointManager) -> List[str]:
    return [item.name for item in manager.checkpoints()]


def used(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_a_disk_without_room_is_refused_before_anything_is_written(
    small_disk: Any, open_manager: Any, tree: Any
) -> None:
    run = small_disk(8) / "run"
    manager = open_manager(run, keep=KeepLast(1))
    manager.save(1, model=big(4))
    before = tree(run)
    with pytest.raises(DiskSpaceError) as caught:
        manager.save(2, model=big(4))
    assert tree(run) == before
    assert "bytes are needed for a checkpoint of step 2" in caught.value.message
    assert str(run) in caught.value.message
    assert caught.value.required is not None
    assert caught.value.available is not None
    assert caught.value.required > 4 * MEBIBYTE > caught.value.available
    assert caught.value.exit_code == 8
    assert caught.value.errno == errno.ENOSPC
    assert manager.verify().ok
    assert names(manager) == ["step-00000001"]


def test_unchanged_tensors_need_no_room(small_disk: Any, open_manager: Any) -> None:
    run = small_disk(8) / "run"
    model = torch.nn.Sequential(big(5).requires_grad_(False), torch.nn.Linear(2, 2))
    for background in (False, True):
        manager = open_manager(run, background=background)
        manager.resume(model=model)
        manager.save(background + 1, model=model)
        manager.close()
    assert names(manager) == ["step-00000001", "step-00000002"]
    assert [report.ok for report in manager.verify_all()] == [True, True]
    model[0].weight.data += 1
    manager = open_manager(run)
    manager.restore(model=model)
    model[0].weight.data += 1
    with pytest.raises(DiskSpaceError, match="for a checkpoint of step 3"):
        manager.save(3, model=model)


def test_a_disk_that_fills_while_a_checkpoint_is_written_keeps_the_one_before(
    small_disk: Any, open_manager: Any, live: Any
) -> None:
    disk = small_disk(8)
    run = disk / "run"
    manager = open_manager(run, keep=KeepLast(1))
    manager.save(1, **live(1).components)
    filler = disk / "somebody-elses"

    def fill(operation: str, path: Path) -> None:
        # After the preflight, when the file is begun, somebody else takes the room.
        if operation == "create" and path.name == "model.safetensors":
            filler.write_bytes(bytes(6 * MEBIBYTE))

    manager._run.files._observer = fill
    with pytest.raises(DiskSpaceError, match="No space left on device"):
        manager.save(2, model=big(4))
    assert not list((run / ".staging").iterdir())
    assert names(open_manager(run)) == ["step-00000001"]
    state = live()
    assert open_manager(run).resume(**state.components).checkpoint.step == 1
    assert state.stands_at == 1
    filler.unlink()
    manager._run.files._observer = None
    manager.save(2, model=big(4))
    assert names(manager) == ["step-00000002"]


def test_debris_of_a_killed_save_does_not_stop_the_next_one(
    small_disk: Any, open_manager: Any
) -> None:
    run = small_disk(8) / "run"
    manager = open_manager(run)
    manager.save(1, model=big(0.1))
    dead = run / ".staging" / "step-2-dead"
    dead.mkdir()
    (dead / "model.safetensors").write_bytes(bytes(5 * MEBIBYTE))
    manager.save(3, model=big(4))
    assert names(manager) == ["step-00000001", "step-00000003"]


def test_a_save_in_the_background_reports_a_full_disk(small_disk: Any, open_manager: Any) -> None:
    run = small_disk(8) / "run"
    manager = open_manager(run, background=True)
    manager.save(1, model=big(4)).result()
    pending = manager.save(2, model=big(4))
    with pytest.raises(DiskSpaceError, match="step 2"):
        pending.result()
    with pytest.raises(DiskSpaceError, match="step 2"):
        manager.wait()
    assert names(manager) == ["step-00000001"]


def test_a_limit_on_file_sizes_is_a_full_disk(children: Any, run_path: Path, live: Any) -> None:
    def save_under_a_limit() -> Any:
        manager = CheckpointManager(run_path, keep=KeepLast(1), background=False)
        manager.save(1, **live(1).components)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE, MEBIBYTE))
        try:
            manager.save(2, model=big(4))
        except DiskSpaceError as error:
            return str(error), [path.name for path in (run_path / ".staging").iterdir()]

    message, staged = children.call(save_under_a_limit)
    assert message.startswith("Could not save step 2 in ")
    assert "File too large" in message
    assert staged == []
    found = CheckpointManager(run_path)
    assert names(found) == ["step-00000001"]
    assert found.verify().ok
    assert used(run_path) < MEBIBYTE


def without_rights(function: Callable[[], Any]) -> Callable[[], Any]:
    """Run as somebody to whom permissions apply; tests may run as root."""

    def run() -> Any:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return function()

    return run


def outcome(function: Callable[[], Any]) -> Callable[[], Any]:
    """Describe how a function ends, so that it can be sent to the parent."""

    def run() -> Any:
        try:
            return ("returned", function())
        except HflError as error:
            return (type(error).__name__, str(error))

    return run


@pytest.fixture
def reachable(memory_path: Path) -> Path:
    """A directory that other users reach."""
    memory_path.chmod(0o755)
    for parent in memory_path.parents:
        if not parent.stat().st_mode & 0o001:
            pytest.skip(f"other users cannot enter {parent}")
    return memory_path


@pytest.fixture
def forbid() -> Iterator[Callable[[Path], None]]:
    """Make directories unwritable for a child: root's lose their rights, others' own are taken."""
    changed: List[Path] = []

    def forbid_writing(directory: Path) -> None:
        if os.geteuid() != 0:
            changed.extend(path for path in (directory, *directory.rglob("*")) if path.is_dir())
            for path in changed:
                path.chmod(0o555)

    yield forbid_writing
    for path in changed:
        path.chmod(0o755)


def test_a_directory_that_cannot_be_written_is_an_error_that_names_it(
    children: Any, reachable: Path, live: Any, tree: Any, forbid: Any
) -> None:
    forbid(reachable)
    run = reachable / "run"
    state = live(1)

    def save() -> Any:
        return CheckpointManager(run, background=False).save(1, **state.components)

    save_as_somebody = without_rights(outcome(save))
    kind, message = children.call(save_as_somebody)
    assert kind == "PermissionDeniedError"
    assert f"Could not create the run's directory {str(run)!r}: Permission denied" in message
    assert "Check who owns the directory" in message
    assert tree(reachable) == {}


def test_a_run_of_somebody_else_can_be_read_and_not_continued(
    children: Any, reachable: Path, live: Any, tree: Any, open_manager: Any, forbid: Any
) -> None:
    run = reachable / "run"
    open_manager(run).save(1, **live(1).components)
    forbid(run)
    before = tree(reachable)

    def use() -> Any:
        manager = CheckpointManager(run, background=False)
        state = live()
        manager.resume(**state.components)
        ends = [outcome(lambda: manager.save(2, **state.components))()]
        ends.append(outcome(lambda: manager.pin(1))())
        ends.append(outcome(lambda: manager.clean(dry_run=False))())
        return state.stands_at, manager.verify().ok, ends

    step, ok, ends = children.call(without_rights(use))
    assert (step, ok) == (1, True)
    assert [kind for kind, _ in ends] == ["PermissionDeniedError"] * 3
    assert "Could not save step 2" in ends[0][1]
    assert "Could not pin checkpoints" in ends[1][1]
    assert "Could not clean" in ends[2][1]
    assert tree(reachable) == before


@pytest.mark.parametrize(
    "locked", ["run", "run/step-00000001", "run/step-00000001/model.safetensors"]
)
def test_what_may_not_be_read_is_an_error_and_no_damage(
    children: Any, reachable: Path, live: Any, tree: Any, open_manager: Any, locked: str
) -> None:
    run = reachable / "run"
    open_manager(run).save(1, **live(1).components)
    # Even with the right to move things away, nothing is set aside for missing rights.
    for path in (run, *run.iterdir()):
        path.chmod(0o777 if path.is_dir() else 0o666)
    (reachable / locked).chmod(0o000)
    before = tree(reachable)

    def use() -> Any:
        def resume() -> Any:
            return CheckpointManager(run, background=False).resume(**live().components)

        return [
            outcome(resume)(),
            outcome(lambda: CheckpointManager(run).verify("latest"))(),
        ]

    answers = children.call(without_rights(use))
    after = tree(reachable) if os.geteuid() == 0 else before
    (reachable / locked).chmod(0o755)
    for kind, message in answers:
        assert kind == "PermissionDeniedError"
        assert "Permission denied" in message
        assert str(reachable / locked) in message
    assert {name: after[name] for name in before} == before
    assert not (run / ".quarantine").exists()


def test_a_run_under_a_directory_that_may_not_be_entered_is_an_error(
    children: Any, reachable: Path
) -> None:
    (reachable / "private").mkdir(mode=0o700 if os.geteuid() == 0 else 0o000)
    kind, message = children.call(
        without_rights(outcome(lambda: CheckpointManager(reachable / "private" / "run")))
    )
    (reachable / "private").chmod(0o700)
    assert kind == "PermissionDeniedError"
    assert "look at the run's directory" in message


def test_a_read_only_file_system_can_be_restored_from_and_not_saved_to(
    small_disk: Any, open_manager: Any, live: Any, tree: Any
) -> None:
    disk = small_disk(4)
    run = disk / "run"
    open_manager(run).save(1, **live(1).components)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    manager = open_manager(run)
    state = live()
    assert manager.resume(**state.components).checkpoint.step == 1
    assert state.stands_at == 1
    assert manager.verify().ok
    with pytest.raises(PermissionDeniedError, match="Could not save step 2") as caught:
        manager.save(2, **state.move_to(2).components)
    assert "Read-only file system" in caught.value.message
    assert "mounted read-only" in str(caught.value.hint)
    with pytest.raises(PermissionDeniedError, match="Could not pin"):
        manager.pin(1)


def test_a_damaged_checkpoint_that_cannot_be_moved_is_left_and_the_one_before_used(
    small_disk: Any, open_manager: Any, live: Any
) -> None:
    disk = small_disk(4)
    run = disk / "run"
    manager = open_manager(run)
    manager.save(1, **live(1).components)
    manager.save(2, **live(2).components)
    (run / "step-00000002" / "model.safetensors").unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    state = live()
    report = open_manager(run).resume(**state.components)
    assert state.stands_at == 1
    assert report.quarantined == ("step-00000002",)
    assert "could not be moved away (Read-only file system)" in report.warnings[0]
