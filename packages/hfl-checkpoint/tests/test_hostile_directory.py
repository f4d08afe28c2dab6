"""Directories that somebody else has made, or put things into."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import torch

from hfl_checkpoint import (
    CheckpointDamagedError,
    CheckpointManager,
    KeepLast,
    KeepWithin,
    _canonical,
)
from hfl_core import ConfigError, digest_file, new_digest


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


def signed(run: Path, change: Callable[[Dict[str, Any]], None]) -> None:
    """Change the manifest of the second checkpoint as somebody who knows how it is signed."""
    path = run / "step-00000002" / "manifest.json"
    document = json.loads(path.read_text())
    del document["self_digest"]
    change(document)
    path.unlink()
    path.write_bytes(_canonical.dump(document))


def replaced(run: Path, name: str, content: bytes) -> None:
    path = run / "step-00000002" / name
    path.unlink()
    path.write_bytes(content)

    def describe(document: Dict[str, Any]) -> None:
        entry = next(item for item in document["files"] if item["path"] == name)
        entry.update({"size": len(content), "xxh3-128": digest_file(path)})

    signed(run, describe)


def header(size: int, text: bytes) -> bytes:
    return size.to_bytes(8, "little") + text


@pytest.fixture
def two(open_manager: Any, live: Any, run_path: Path) -> Path:
    manager = open_manager()
    for step in (1, 2):
        manager.save(step, **live(step).components)
    return run_path


@pytest.mark.parametrize(
    "content",
    [header(1 << 30, b"{}"), header(200_000, b"[" * 200_000), header(2, b"[]"), b"", bytes(8)],
    ids=["a gigabyte", "deep", "a list", "nothing", "empty"],
)
def test_an_absurd_header_of_a_tensor_file_is_damage(
    two: Path, open_manager: Any, live: Any, content: bytes
) -> None:
    replaced(two, "model.safetensors", content)
    assert not open_manager().verify(2, "quick").ok
    state = live()
    assert open_manager().resume(**state.components).checkpoint.step == 1
    assert state.stands_at == 1


@pytest.mark.parametrize(
    "content",
    [
        b'{"layout": {}, "state": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"layout": {}, "state": ' + b'{"a": ' * 900 + b"1" + b"}" * 901,
        b'{"layout": {}, "state": {"$": "npscalar", "v": "", "dtype": "<V999999999999", "shape": []}}',
        b'{"layout": {}, "state": {"$": "no such type"}}',
        b'{"layout": {"x": {"of": "y"}}, "state": {"$": "tensor", "key": "x"}}',
    ],
    ids=["deep list", "deep dict", "huge scalar", "unknown", "dangling"],
)
def test_an_absurd_state_is_an_error_and_touches_nothing(
    two: Path, open_manager: Any, live: Any, content: bytes
) -> None:
    replaced(two, "state/counters.json", content)
    state = live(7)
    with pytest.raises(CheckpointDamagedError, match="malformed"):
        open_manager().restore(2, **state.components)
    assert state.stands_at == 7


def test_a_pipe_that_a_manifest_lists_is_damage_and_no_wait(
    two: Path, open_manager: Any, live: Any
) -> None:
    os.mkfifo(two / "step-00000002" / "pipe")
    empty = {"path": "pipe", "size": 0, "xxh3-128": new_digest().hexdigest(), "sha256": None}
    signed(two, lambda document: document["files"].append(empty))
    assert [str(item) for item in open_manager().verify(2).problems] == ["pipe is not a file"]
    assert open_manager().resume(**live().components).checkpoint.step == 1


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"], ids=["past", "future"]
)
def test_a_clock_that_was_wrong_once_does_not_stop_the_cleaning(
    two: Path, open_manager: Any, live: Any, moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    signed(two, lambda document: document.update(created_at=moment))
    manager = open_manager(keep=KeepWithin(hours=24))
    state = live()
    assert manager.resume(**state.components).checkpoint.step == 2
    manager.clean(dry_run=True)
    manager.save(3, **state.move_to(3).components)
    assert manager.latest().step == 3
    assert "clean-up" not in caplog.text


def test_a_link_within_a_checkpoint_is_read_and_what_lies_behind_it_never_removed(
    two: Path, open_manager: Any, live: Any, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(str(two / "step-00000001" / "state"), str(elsewhere))
    (two / "step-00000001" / "state").symlink_to(elsewhere)
    manager = open_manager(keep=KeepLast(1))
    state = live()
    manager.restore(1, **state.components)
    assert state.stands_at == 1
    manager.clean(dry_run=False)
    assert [item.step for item in manager.checkpoints()] == [2]
    assert sorted(path.name for path in elsewhere.iterdir()) != []


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
