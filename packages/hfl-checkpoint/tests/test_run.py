"""Whose checkpoints a directory holds, and in which order: the manifests tell, nothing else."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Iterator, List, Set

import pytest

from hfl_checkpoint import (
    CheckpointDamagedError,
    CheckpointManager,
    KeepLast,
    UnsupportedFormatError,
)
from hfl_checkpoint._catalog import Catalog
from hfl_checkpoint._run import RunDirectory


def names(manager: CheckpointManager) -> List[str]:
    return [checkpoint.name for checkpoint in manager.checkpoints()]


def on_disk(run: Path) -> List[str]:
    return sorted(path.name for path in run.iterdir() if path.is_dir() and path.name[0] != ".")


def set_times(run: Path, seconds: dict[str, float]) -> None:
    for name, time in seconds.items():
        for path in (*(run / name).rglob("*"), run / name):
            os.utime(path, (time, time))


def begin_older_run(open_manager: Any, live: Any, steps: tuple[int, ...], **options: Any) -> None:
    manager = open_manager(**options)
    for step in steps:
        manager.save(step, **live(step).components)


def test_nothing_is_created_before_the_first_save(open_manager: Any, run_path: Path) -> None:
    manager = open_manager(keep=KeepLast(1))
    assert manager.latest() is None
    assert manager.checkpoints() == []
    assert manager.clean(dry_run=False).delete == ()
    assert not run_path.exists()


def test_retention_never_deletes_the_new_checkpoint_or_those_of_an_older_longer_run(
    open_manager: Any, live: Any, run_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begin_older_run(open_manager, live, (800, 900, 1000))
    manager = open_manager(keep=KeepLast(2))
    for step in (100, 200, 300):
        manager.save(step, **live(step).components)
    assert names(manager) == ["step-00000200", "step-00000300"]
    assert on_disk(run_path) == [
        "step-00000200",
        "step-00000300",
        "step-00000800",
        "step-00000900",
        "step-00001000",
    ]
    assert "holds 3 checkpoints of a run that was not resumed" in caplog.text
    spared = [item.checkpoint.name for item in manager.clean().protected]
    assert spared == ["step-00000800", "step-00000900", "step-00001000"]
    state = live()
    assert open_manager().resume(**state.components).checkpoint.step == 300


@pytest.mark.parametrize(
    "times",
    [
        {"step-00000001": 3e8, "step-00000002": 2e8, "step-00000003": 1e8},
        {"step-00000001": 1e8, "step-00000002": 1e8, "step-00000003": 1e8},
        {"step-00000001": 2e9, "step-00000002": 4e9, "step-00000003": 1e8},
    ],
    ids=["reversed", "equal", "in the future"],
)
def test_order_does_not_come_from_modification_times(
    open_manager: Any, live: Any, run_path: Path, times: dict[str, float]
) -> None:
    begin_older_run(open_manager, live, (1, 2, 3))
    set_times(run_path, times)
    manager = open_manager(keep=KeepLast(2))
    assert names(manager) == ["step-00000001", "step-00000002", "step-00000003"]
    state = live()
    manager.resume(**state.components)
    assert state.stands_at == 3
    manager.save(4, **live(4).components)
    assert on_disk(run_path) == ["step-00000003", "step-00000004"]


def test_order_does_not_come_from_names(open_manager: Any, live: Any, run_path: Path) -> None:
    manager = open_manager(keep=KeepLast(2), naming="s{step}")
    for step in (9800, 9900, 10000):
        manager.save(step, **live(step).components)
    assert names(manager) == ["s9900", "s10000"]
    assert on_disk(run_path) == ["s10000", "s9900"]


def test_going_back_to_an_earlier_step_keeps_the_order_of_commits(
    open_manager: Any, live: Any
) -> None:
    manager = open_manager(keep=KeepLast(2))
    for step in (10, 20, 30):
        manager.save(step, **live(step).components)
    manager.restore(20, **live().components)
    manager.save(25, **live(25).components)
    assert [item.step for item in manager.checkpoints()] == [30, 25]
    assert manager.latest().step == 25
    manifest = json.loads((manager.latest().path / "manifest.json").read_text())
    assert manifest["parent"] == "step-00000020"


def test_a_copy_of_a_run_goes_on_as_that_run(
    open_manager: Any, live: Any, run_path: Path, tmp_path: Path, tree: Any
) -> None:
    begin_older_run(open_manager, live, (1, 2, 3))
    copy = tmp_path / "copy"
    shutil.copytree(str(run_path), str(copy))
    original = tree(run_path)
    manager = open_manager(copy, keep=KeepLast(2))
    manager.resume(**live().components)
    assert manager.save(4, **live(4).components).sequence == 4
    assert on_disk(copy) == ["step-00000003", "step-00000004"]
    assert tree(run_path) == original


def test_a_run_that_was_moved_goes_on(
    open_manager: Any, live: Any, run_path: Path, memory_path: Path
) -> None:
    first = open_manager(keep=KeepLast(3))
    first.save(1, metrics={"loss": 0.1}, **live(1).components)
    first.save(2, metrics={"loss": 0.2}, **live(2).components)
    first.pin(1, "good")
    elsewhere = memory_path / "another" / "place"
    elsewhere.parent.mkdir()
    run_path.rename(elsewhere)
    manager = open_manager(elsewhere, keep=KeepLast(1))
    state = live()
    assert manager.resume(**state.components).checkpoint.path == elsewhere / "step-00000002"
    assert manager.best("loss").path == elsewhere / "step-00000001"
    assert manager.verify("good").ok
    manager.save(3, **live(3).components)
    assert names(manager) == ["step-00000001", "step-00000003"]
    text = b"".join(path.read_bytes() for path in elsewhere.rglob("*.json"))
    assert str(run_path).encode() not in text


def test_a_new_process_goes_on_counting_and_keeps_the_limit(
    children: Any, open_manager: Any, live: Any, run_path: Path
) -> None:
    begin_older_run(open_manager, live, (1, 2, 3), keep=KeepLast(3))

    def go_on() -> int:
        with CheckpointManager(run_path, keep=KeepLast(3), background=False) as manager:
            state = live()
            assert manager.resume(**state.components).checkpoint.step == 3
            return manager.save(4, **state.move_to(4).components).sequence

    assert children.call(go_on) == 4
    assert on_disk(run_path) == ["step-00000002", "step-00000003", "step-00000004"]


def test_a_lost_run_file_is_made_again_by_the_run_that_goes_on(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    begin_older_run(open_manager, live, (1, 2))
    before = json.loads((run_path / "run.json").read_text())["run_id"]
    (run_path / "run.json").unlink()
    manager = open_manager(keep=KeepLast(1))
    assert names(manager) == ["step-00000001", "step-00000002"]
    manager.resume(**live().components)
    assert manager.save(3, **live(3).components).run_id == before
    assert json.loads((run_path / "run.json").read_text())["run_id"] == before
    assert on_disk(run_path) == ["step-00000003"]


def test_a_damaged_run_file_is_reported_and_mended(
    open_manager: Any, live: Any, run_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begin_older_run(open_manager, live, (1, 2))
    (run_path / "run.json").write_text("{}")
    manager = open_manager()
    assert manager.latest().step == 2
    assert "run.json does not match its own digest" in caplog.text
    manager.resume(**live().components)
    manager.save(3, **live(3).components)
    caplog.clear()
    assert names(open_manager()) == ["step-00000001", "step-00000002", "step-00000003"]
    assert caplog.text == ""


def test_a_run_file_of_a_newer_format_stops_everything(
    open_manager: Any, live: Any, run_path: Path, tree: Any
) -> None:
    begin_older_run(open_manager, live, (1,))
    document = json.loads((run_path / "run.json").read_text())
    (run_path / "run.json").write_text(json.dumps({**document, "format": 2}))
    before = tree(run_path)
    manager = open_manager(keep=KeepLast(1))
    with pytest.raises(UnsupportedFormatError, match="pip install --upgrade hfl-checkpoint"):
        manager.resume(**live().components)
    with pytest.raises(UnsupportedFormatError):
        manager.save(2, **live(2).components)
    assert tree(run_path) == before


def test_a_run_that_never_committed_does_not_hide_the_one_before(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    begin_older_run(open_manager, live, (1, 2))
    RunDirectory(run_path).begin("step-{step:08d}")
    state = live()
    assert open_manager().resume(**state.components).checkpoint.step == 2


def test_a_run_goes_on_although_another_one_begins_beside_it(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    first = open_manager(keep=KeepLast(1))
    first.save(1, **live(1).components)
    second = open_manager(keep=KeepLast(1))
    other = second.save(7, **live(7).components)
    saved = first.save(2, **live(2).components)
    assert saved.sequence == 2
    assert names(first) == ["step-00000002"]
    assert names(second) == ["step-00000007"]
    first.restore("latest", **live().components)
    second.save(8, **live(8).components)
    assert on_disk(run_path) == ["step-00000002", "step-00000008"]
    assert other.run_id != saved.run_id


def test_two_processes_that_save_into_one_run_lose_nothing(
    children: Any, open_manager: Any, live: Any, memory_path: Path
) -> None:
    run = memory_path / "run"
    open_manager(run).save(1, **live(1).components)
    receive, send = os.pipe()

    def save_many(first: int) -> None:
        with CheckpointManager(run) as manager:
            state = live()
            manager.resume(**state.components)
            os.read(receive, 1)
            for step in range(first, first + 10):
                manager.save(step, **state.move_to(step).components)

    pids = [children.start(lambda first=first: save_many(first)) for first in (100, 200)]
    os.write(send, b"go")
    for pid in pids:
        assert children.wait(pid) == 0
    found = open_manager(run).checkpoints()
    assert [item.sequence for item in found] == list(range(1, 22))
    assert {item.step for item in found} == {1, *range(100, 110), *range(200, 210)}
    for item in found:
        state = live()
        open_manager(run).restore(item, **state.components)
        assert state.stands_at == item.step


def test_a_process_that_cleans_leaves_the_saves_of_another_alone(
    children: Any, open_manager: Any, live: Any, memory_path: Path
) -> None:
    run = memory_path / "run"
    open_manager(run).save(1, **live(1).components)

    def save_many() -> List[int]:
        with CheckpointManager(run, keep=KeepLast(2)) as manager:
            state = live()
            manager.resume(**state.components)
            pending = [manager.save(s, **state.move_to(s).components) for s in range(2, 32)]
            return [item.result().step for item in pending]

    cleaned = 0
    child = children.start(save_many)
    cleaner = open_manager(run, keep=KeepLast(2))
    while not children.has_ended(child):
        cleaner.clean(dry_run=False)
        cleaned += 1
    assert cleaned > 0
    assert [item.step for item in cleaner.checkpoints()] == [30, 31]


@pytest.fixture
def busy_run(children: Any, open_manager: Any, live: Any, memory_path: Path) -> Iterator[Path]:
    """A run in which another process commits and deletes all the time."""
    run = memory_path / "run"
    open_manager(run).save(1, **live(1).components)

    def save_forever() -> None:
        with CheckpointManager(run, keep=KeepLast(1), background=False) as manager:
            state = live()
            manager.resume(**state.components)
            for step in range(2, 1_000_000):
                manager.save(step, **state.move_to(step).components)

    child = children.start(save_forever)
    yield run
    children.kill(child)


def test_a_checkpoint_that_others_delete_meanwhile_is_not_called_damaged(
    open_manager: Any, live: Any, busy_run: Path
) -> None:
    newest = 0
    while newest < 60:
        state = live()
        report = open_manager(busy_run).resume(**state.components)
        assert report is not None
        assert report.quarantined == ()
        assert state.stands_at == report.checkpoint.step >= newest
        newest = report.checkpoint.step


def test_there_is_a_latest_at_every_moment_in_which_others_commit_and_delete(
    busy_run: Path,
) -> None:
    newest = 0
    while newest < 150:
        latest = Catalog(busy_run).latest()
        assert latest is not None
        assert latest.step >= newest
        newest = latest.step


def test_what_others_delete_meanwhile_does_not_verify_as_damaged(busy_run: Path) -> None:
    verified: Set[str] = set()
    while len(verified) < 40:
        catalog = Catalog(busy_run)
        reports = [catalog.verify(), *catalog.verify_all()]
        assert [report for report in reports if not report.ok] == []
        verified.update(report.name for report in reports)


def test_what_is_no_checkpoint_is_left_alone(open_manager: Any, live: Any, run_path: Path) -> None:
    manager = open_manager(keep=KeepLast(1))
    manager.save(1, **live(1).components)
    (run_path / "step-00000099").mkdir()
    (run_path / "step-00000099" / "model.safetensors").write_bytes(b"half")
    (run_path / "logs" / "manifest.json").mkdir(parents=True)
    (run_path / "notes.txt").write_text("mine")
    manager.save(2, **live(2).components)
    assert names(manager) == ["step-00000002"]
    assert on_disk(run_path) == ["logs", "step-00000002", "step-00000099"]
    assert open_manager().resume(**live().components).checkpoint.step == 2


def test_pins_that_are_damaged_cannot_be_changed(
    open_manager: Any, live: Any, run_path: Path, tree: Any
) -> None:
    manager = open_manager()
    manager.save(1, **live(1).components)
    (run_path / "pins.json").write_text('{"pins": [')
    before = tree(run_path)
    for change in (lambda: manager.pin(1), lambda: manager.unpin(1)):
        with pytest.raises(CheckpointDamagedError, match=r"Repair pins\.json, or remove it"):
            change()
    assert tree(run_path) == before
