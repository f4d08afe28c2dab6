"""What is deleted, what is spared and why, and what dead processes leave."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any, List

import pytest

from hfl_checkpoint import KeepBest, KeepLast, UnsupportedFormatError, _lease
from hfl_core import ConfigError, Files


def on_disk(run: Path) -> List[str]:
    return sorted(path.name for path in run.iterdir() if path.is_dir() and path.name[0] != ".")


def save_all(manager: Any, live: Any, *steps: int, **options: Any) -> None:
    for step in steps:
        manager.save(step, **options, **live(step).components)


def damage(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()


def test_a_plan_says_for_each_checkpoint_what_happens_and_why_and_touches_nothing(
    open_manager: Any, live: Any, run_path: Path, tree: Any
) -> None:
    everything = open_manager()
    save_all(everything, live, 1, 2, 3, 4)
    everything.pin(1, "paper")
    before = tree(run_path)
    plan = open_manager(keep=KeepLast(2)).clean()
    assert [(item.checkpoint.step, item.reason) for item in plan.keep] == [
        (3, "among the newest 2"),
        (4, "newest"),
    ]
    assert [(item.checkpoint.step, item.reason) for item in plan.delete] == [
        (2, "no policy keeps it")
    ]
    assert [(item.checkpoint.step, item.reason) for item in plan.protected] == [
        (1, "pinned (paper)")
    ]
    assert tree(run_path) == before
    done = open_manager(keep=KeepLast(2)).clean(dry_run=False)
    assert done == plan
    assert on_disk(run_path) == ["step-00000001", "step-00000003", "step-00000004"]


def test_the_newest_is_kept_although_only_the_best_is_wanted(open_manager: Any, live: Any) -> None:
    manager = open_manager(keep=KeepBest("loss"))
    for step, loss in ((1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)):
        manager.save(step, metrics={"loss": loss}, **live(step).components)
    assert [item.step for item in manager.checkpoints()] == [1, 4]


def test_pins_and_labels_survive_retention_and_other_processes(
    open_manager: Any, live: Any
) -> None:
    manager = open_manager(keep=KeepLast(1))
    save_all(manager, live, 1)
    assert manager.pin("latest", "start").labels == ("start",)
    assert manager.pin(1, "also").labels == ("start", "also")
    save_all(manager, live, 2, 3)
    found = open_manager()
    assert [(item.step, item.pinned) for item in found.checkpoints()] == [(1, True), (3, False)]
    assert found.get(label="also").step == 1
    assert found.find("start").step == 1
    assert found.pin(3, "start").labels == ("start",)
    assert found.get(label="start").step == 3
    assert found.find(1).labels == ("also",)
    assert found.unpin(1).pinned is False
    save_all(manager, live, 4)
    assert [item.step for item in manager.checkpoints()] == [3, 4]


@pytest.mark.parametrize("label", ["latest", "500", "best:loss", "", " "])
def test_a_label_that_means_something_else_is_refused(
    open_manager: Any, live: Any, run_path: Path, label: str
) -> None:
    manager = open_manager()
    save_all(manager, live, 1)
    with pytest.raises(ConfigError, match="label"):
        manager.pin(1, label)
    assert not (run_path / "pins.json").exists()


def test_nothing_is_deleted_while_pins_cannot_be_read(
    open_manager: Any, live: Any, run_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manager = open_manager(keep=KeepLast(1))
    save_all(manager, live, 1)
    manager.pin(1)
    (run_path / "pins.json").write_text('{"pins": {"step')
    fresh = open_manager(keep=KeepLast(1))
    state = live()
    assert fresh.resume(**state.components).checkpoint.step == 1
    save_all(fresh, live, 2, 3)
    assert on_disk(run_path) == ["step-00000001", "step-00000002", "step-00000003"]
    warnings = [item.getMessage() for item in caplog.records if "pins.json" in item.getMessage()]
    assert len(warnings) == 1
    assert "every checkpoint counts as pinned" in warnings[0]
    (run_path / "pins.json").unlink()
    save_all(fresh, live, 4)
    assert on_disk(run_path) == ["step-00000004"]


@pytest.mark.parametrize("content", ["[]", "{}", '{"pins": []}', '{"pins": {"a": 1}}', "\x00"])
def test_pins_of_a_wrong_shape_count_as_damaged(
    open_manager: Any, live: Any, run_path: Path, content: str
) -> None:
    manager = open_manager(keep=KeepLast(1))
    save_all(manager, live, 1)
    (run_path / "pins.json").write_text(content)
    save_all(manager, live, 2)
    assert on_disk(run_path) == ["step-00000001", "step-00000002"]


def test_nothing_is_deleted_while_the_newest_is_damaged(
    open_manager: Any, live: Any, run_path: Path, tree: Any
) -> None:
    save_all(open_manager(), live, 1, 2, 3)
    damage(run_path / "step-00000003")
    before = tree(run_path)
    done = open_manager(keep=KeepLast(1)).clean(dry_run=False)
    assert done.delete == ()
    assert [item.reason for item in done.protected] == [
        "nothing is deleted while the newest, step-00000003, is damaged"
    ] * 2
    assert tree(run_path) == before


def test_a_checkpoint_of_a_newer_format_is_never_touched(
    open_manager: Any, live: Any, run_path: Path, tree: Any
) -> None:
    manager = open_manager(keep=KeepLast(1))
    save_all(manager, live, 1)
    newer = run_path / "step-00000009"
    newer.mkdir()
    (newer / "manifest.json").write_text(json.dumps({"format": 2, "anything": []}))
    before = tree(newer)
    save_all(manager, live, 2, 3)
    assert on_disk(run_path) == ["step-00000003", "step-00000009"]
    assert tree(newer) == before
    with pytest.raises(UnsupportedFormatError, match="step-00000009"):
        manager.restore(**live().components)
    assert manager.restore(3, **live().components).checkpoint.step == 3, "asked for by name"


def test_partial_directories_do_not_count_towards_the_limit(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    manager = open_manager(keep=KeepLast(2))
    save_all(manager, live, 1, 2)
    for name in ("step-00000003", "step-00000004", "step-00000005"):
        (run_path / name).mkdir()
        (run_path / name / "model.safetensors").write_bytes(b"half a model")
    save_all(manager, live, 6)
    assert [item.step for item in manager.checkpoints()] == [2, 6]


def test_what_a_dead_save_left_is_swept_and_what_a_living_one_writes_is_not(
    open_manager: Any, live: Any, run_path: Path, children: Any
) -> None:
    manager = open_manager()
    save_all(manager, live, 1)
    staging = run_path / ".staging"

    def die_while_saving() -> None:
        (staging / "step-2-dead").mkdir()
        (staging / "step-2-dead" / "model.safetensors").write_bytes(b"half")
        _lease.take(Files(), staging / "step-2-dead.lease")

    children.call(die_while_saving)
    (staging / "step-3-alive").mkdir()
    _lease.take(Files(), staging / "step-3-alive.lease")
    (staging / "step-4-nobody").mkdir()
    (staging / "stray").write_text("")
    (run_path / ".trash" / "step-1-x").mkdir()
    (run_path / ".run.json.0123abcd.tmp").write_text("{")
    (run_path / ".pins.json.0123abcd.tmp").write_text("{")
    save_all(manager, live, 5)
    assert sorted(path.name for path in staging.iterdir()) == ["step-3-alive", "step-3-alive.lease"]
    assert list((run_path / ".trash").iterdir()) == []
    assert list(run_path.glob("*.tmp")) == list(run_path.glob(".*.tmp")) == []


def test_debris_goes_before_the_next_save_begins_to_write(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    manager = open_manager()
    save_all(manager, live, 1)
    (run_path / ".staging" / "step-2-dead").mkdir()
    (run_path / ".trash" / "step-1-dead").mkdir()
    operations: List[Any] = []
    manager._run.files = Files(lambda operation, path: operations.append((operation, path.name)))
    save_all(manager, live, 3)
    removed = [operations.index(("remove", name)) for name in ("step-2-dead", "step-1-dead")]
    first = next(i for i, (operation, _) in enumerate(operations) if operation == "create")
    assert max(removed) < first


def refuse(*operations: str) -> Files:
    def observer(operation: str, path: Path) -> None:
        if operation in operations and "step-00000001" in str(path):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path))

    return Files(observer)


def test_a_checkpoint_that_cannot_be_moved_is_spared_and_tried_again(
    open_manager: Any, live: Any, run_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_all(open_manager(), live, 1, 2)
    manager = open_manager(keep=KeepLast(1))
    manager._run.files = refuse("rename")
    done = manager.clean(dry_run=False)
    assert done.delete == ()
    assert "could not be deleted" in done.protected[0].reason
    assert "step-00000001 could not be deleted" in caplog.text
    manager._run.files = Files()
    assert len(manager.clean(dry_run=False).delete) == 1
    assert on_disk(run_path) == ["step-00000002"]


def test_trash_that_resists_stays_for_the_next_time(
    open_manager: Any, live: Any, run_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_all(open_manager(), live, 1, 2)
    manager = open_manager(keep=KeepLast(1))
    manager._run.files = refuse("remove")
    assert len(manager.clean(dry_run=False).delete) == 1
    assert on_disk(run_path) == ["step-00000002"]
    assert "stays in the trash for now" in caplog.text
    manager._run.files = Files()
    manager.clean(dry_run=False)
    assert list((run_path / ".trash").iterdir()) == []


def test_a_policy_that_fails_does_not_fail_the_save(
    open_manager: Any, live: Any, run_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def select(self, checkpoints: Any) -> Any:
            raise RuntimeError("no idea")

    manager = open_manager(keep=Broken())
    save_all(manager, live, 1, 2)
    assert on_disk(run_path) == ["step-00000001", "step-00000002"]
    assert "the clean-up after step-00000002 failed" in caplog.text
