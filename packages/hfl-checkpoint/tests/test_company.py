"""Several at work in one directory: by mistake, or because one cleans while the other trains."""

from __future__ import annotations

import json
import os
import traceback
from pathlib import Path
from typing import Any, List

import pytest
from click.testing import CliRunner

from hfl_checkpoint import CheckpointManager, KeepAll, KeepLast
from hfl_checkpoint._verify import verify
from hfl_checkpoint.cli import checkpoint as commands


def test_two_trainings_in_one_directory_lose_nothing_and_are_told(
    children: Any, open_manager: Any, live: Any, run_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_manager(keep=KeepAll()).save(1, **live(1).components)
    first, state = open_manager(keep=KeepAll()), live()
    first.resume(**state.components)

    def train() -> List[str]:
        manager = CheckpointManager(run_path, keep=KeepAll(), background=False, metadata={})
        state = live()
        manager.resume(**state.components)
        for step in (2, 3):
            manager.save(step, **state.move_to(step).components)
        return [item.name for item in manager.checkpoints()]

    assert children.call(train) == ["step-00000001", "step-00000002", "step-00000003"]
    saved = [first.save(step, **state.move_to(step).components).name for step in (2, 3)]
    assert saved == ["step-00000002-2", "step-00000003-2"]
    assert len(first.checkpoints()) == 5
    assert all(verify(item.path).ok for item in first.checkpoints())
    told = [item.getMessage() for item in caplog.records if "also saves" in item.getMessage()]
    assert len(told) == 1
    assert "step-00000002, step-00000003" in told[0]


def test_one_training_alone_is_told_nothing(
    open_manager: Any, live: Any, caplog: pytest.LogCaptureFixture
) -> None:
    first = open_manager(keep=KeepLast(2))
    for step in (1, 2, 3):
        first.save(step, **live(step).components)
    second = open_manager(keep=KeepLast(2))
    second.restore(2, **live().components)  # and goes back on purpose
    second.save(4, **live(4).components)
    second.save(5, **live(5).components)
    assert "also saves" not in caplog.text


def test_two_managers_of_one_process_may_share_a_directory(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    one, other = open_manager(background=True), open_manager(background=True)
    one.save(1, **live(1).components).result()
    other.resume(**live().components)
    pending = [
        manager.save(step, **live(step).components)
        for step in (2, 4, 6)
        for manager, step in ((one, step), (other, step + 1))
    ]
    assert len({item.result().sequence for item in pending}) == 6
    assert sorted(item.step for item in one.checkpoints()) == list(range(1, 8))
    assert all(verify(item.path).ok for item in other.checkpoints())


@pytest.mark.torture
def test_a_cleaning_from_outside_and_a_reader_do_not_disturb_a_training(
    children: Any, open_manager: Any, live: Any, run_path: Path
) -> None:
    open_manager(keep=KeepAll()).save(1, **live(1).components)
    receive, send = os.pipe()

    def clean() -> None:
        os.write(send, b"!")
        arguments = ["clean", str(run_path), "--keep", "last:1", "--yes", "--format", "json"]
        while not (run_path / "over").exists():
            done = CliRunner().invoke(commands, arguments)
            if done.exception is not None:
                raise done.exception

    def read() -> int:
        manager = CheckpointManager(run_path, background=False)
        os.write(send, b"!")
        seen = 0
        while not (run_path / "over").exists():
            state = live()
            report = manager.restore(**state.components)
            assert report.quarantined == ()
            assert state.stands_at == report.checkpoint.step >= seen
            seen = state.stands_at
        return seen

    def call(function: Any, place: Path) -> None:
        try:
            place.write_text(json.dumps(function()))
        except BaseException:
            place.write_text(json.dumps(traceback.format_exc()))
            raise

    cleaner = children.start(lambda: call(clean, run_path.parent / "cleaned"))
    reader = children.start(lambda: call(read, run_path.parent / "read"))
    for _ in range(2):
        os.read(receive, 1)
    manager, state = open_manager(keep=KeepAll(), background=True), live()
    manager.resume(**state.components)
    for step in range(2, 40):
        manager.save(step, **state.move_to(step).components)
    manager.wait()
    (run_path / "over").write_text("")
    children.wait(cleaner)
    children.wait(reader)
    assert json.loads((run_path.parent / "cleaned").read_text()) is None
    assert json.loads((run_path.parent / "read").read_text()) > 1
    assert manager.latest().step == 39
    assert all(verify(item.path).ok for item in manager.checkpoints())
