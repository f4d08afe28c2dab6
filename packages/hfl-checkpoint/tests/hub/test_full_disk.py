"""A full disk while checkpoints wait for the Hub: what has to arrive there is not what makes way."""

from __future__ import annotations

import contextlib

import pytest
import torch

from hfl_checkpoint import CheckpointManager, KeepAll, KeepLast
from hfl_core import DiskSpaceError


def big(step: int) -> torch.nn.Module:
    """A model of 4 MiB."""
    model = torch.nn.Linear(1, 1 << 19)
    torch.nn.init.constant_(model.weight, step)
    return model


@pytest.fixture
def crowded(small_disk, name, hub):
    """Open a manager on a disk that holds two checkpoints, while the Hub is down."""
    disk = small_disk(11)
    hub.faults.answer(503, times=None)
    opened = []

    def open_one(**options) -> CheckpointManager:
        manager = CheckpointManager(
            disk / "run", hub=name, hub_wait=0, background=False, metadata={}, **options
        )
        opened.append(manager)
        return manager

    yield open_one
    hub.faults.clear()
    for manager in opened:
        manager.close()


def names(manager) -> list:
    return [item.name for item in manager.checkpoints()]


def test_what_has_to_reach_the_hub_survives_pruning(crowded, hub, remote, caplog) -> None:
    manager = crowded(keep=KeepLast(1), hub_keep=KeepAll(), when_full="prune")
    for step in (1, 2):
        manager.save(step, model=big(step))
    with pytest.raises(DiskSpaceError):
        manager.save(3, model=big(3))
    assert names(manager) == ["step-00000001", "step-00000002"]
    assert "step-00000001 does not make way for step 3: it waits to be published" in caplog.text
    hub.faults.clear()
    manager.push()
    manager.save(3, model=big(3))
    assert names(manager) == ["step-00000003"]
    manager.push()
    assert remote.names == ["step-00000001", "step-00000002", "step-00000003"]


def test_what_would_be_skipped_anyway_makes_way_although_it_waits(crowded, hub, remote) -> None:
    # The training is not to fail for a network that is down.
    manager = crowded(keep=KeepLast(2), when_full="prune")
    for step in (1, 2, 3, 4):
        manager.save(step, model=big(step))
    assert names(manager) == ["step-00000003", "step-00000004"]
    hub.faults.clear()
    report = manager.push()
    assert set(report.skipped) == {"step-00000001", "step-00000002"}
    assert remote.names == ["step-00000003", "step-00000004"]


def test_a_pause_ends_when_the_network_made_room(crowded, hub, remote) -> None:
    manager = crowded(keep=KeepLast(1), hub_keep=KeepAll(), when_full="pause")
    manager._room.poll_seconds = 0.01
    for step in (1, 2):
        manager.save(step, model=big(step))
    told = []

    def person(text: str) -> None:
        told.append(text)
        if len(told) == 1:  # who mends the network, and cleans up
            hub.faults.clear()
            manager.push()
            manager.clean(dry_run=False)

    manager._room._notify = person
    manager.save(3, model=big(3))
    assert len(told) == 2
    assert names(manager) == ["step-00000003"]
    manager.push()
    assert remote.names == ["step-00000001", "step-00000002", "step-00000003"]


def test_a_full_disk_loses_nothing_of_the_queue(crowded, hub, remote) -> None:
    manager = crowded(keep=KeepLast(2), when_full="raise")
    for step in (1, 2):
        manager.save(step, model=big(step))
    filler = manager._run.path.parent / "somebody-elses"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with pytest.raises(DiskSpaceError):
        manager.save(3, model=big(3))
    hub.faults.clear()
    with pytest.raises(DiskSpaceError):
        manager.push(1)  # which cannot be written down
    filler.unlink()
    manager.push()
    assert remote.names == ["step-00000001", "step-00000002"]
