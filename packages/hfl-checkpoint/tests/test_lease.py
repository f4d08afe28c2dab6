"""A lease holds as long as the process behind it lives."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any, Dict

import psutil
import pytest

from hfl_checkpoint import CheckpointManager, KeepLast, _lease
from hfl_checkpoint._select import selected
from hfl_core import Files


def write(path: Path, **changes: Any) -> Path:
    _lease.take(Files(), path)
    holder: Dict[str, Any] = json.loads(path.read_bytes())
    path.write_text(json.dumps({**holder, **changes}))
    return path


def test_a_lease_of_a_living_process_holds(tmp_path: Path, children: Any) -> None:
    path = tmp_path / "a.lease"
    assert not _lease.is_held(path)
    _lease.take(Files(), path)
    assert _lease.is_held(path)
    assert children.call(lambda: _lease.is_held(path))


def test_a_lease_ends_with_its_process_even_if_nobody_has_asked_how_it_ended(
    tmp_path: Path, children: Any
) -> None:
    path = tmp_path / "a.lease"
    receive, send = os.pipe()

    def hold() -> None:
        _lease.take(Files(), path)
        os.write(send, b"held")
        os.read(os.pipe()[0], 1)

    child = children.start(hold)
    os.read(receive, 4)
    assert _lease.is_held(path)
    psutil.Process(child).kill()
    while psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        os.sched_yield()
    assert not _lease.is_held(path)
    children.wait(child)
    assert not _lease.is_held(path)


def test_a_process_that_got_the_same_number_later_does_not_hold_it(tmp_path: Path) -> None:
    started = psutil.Process().create_time()
    assert _lease.is_held(write(tmp_path / "a", started=started + 0.5, born=None))
    assert not _lease.is_held(write(tmp_path / "b", started=started - 60, born=None))
    assert not _lease.is_held(write(tmp_path / "c", born="another boot/1"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the moment is recorded when it is")
def test_a_clock_that_jumps_ends_no_lease(tmp_path: Path) -> None:
    # When the clock is set, Linux reckons that the machine, and so each process, was started then.
    for seconds in (3600.0, -3600.0):
        started = psutil.Process().create_time() + seconds
        assert _lease.is_held(write(tmp_path / f"{seconds}", started=started))


def test_a_lease_from_another_machine_holds_for_a_day(tmp_path: Path) -> None:
    path = write(tmp_path / "a", host=socket.gethostname() + "-other", pid=2**22 + 1)
    assert _lease.is_held(path)
    yesterday = time.time() - 25 * 3600
    os.utime(path, (yesterday, yesterday))
    assert not _lease.is_held(path)


def test_a_lease_from_another_container_with_the_same_host_name_holds(tmp_path: Path) -> None:
    # Its process ids mean other processes, or none, here.
    assert _lease.is_held(write(tmp_path / "a", pid_namespace="pid:[1]", pid=2**22 + 1))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": null}', b'"text"'])
def test_a_lease_that_is_being_written_holds_for_a_minute(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    if content == b'{"host": null}':
        assert _lease.is_held(path), "another machine, for all that is known"
        return
    assert _lease.is_held(path)
    earlier = time.time() - 120
    os.utime(path, (earlier, earlier))
    assert not _lease.is_held(path)


def test_readers_names_what_is_read_and_forgets_the_dead(tmp_path: Path) -> None:
    leases = tmp_path / ".leases"
    assert _lease.readers(leases) == set()
    _lease.take_for_reading(Files(), leases, "v1.5-step-3")
    _lease.take_for_reading(Files(), leases, "step-00000001")
    dead = write(leases / "step-00000002.0123abcd.json", born="no boot/1")
    assert _lease.readers(leases) == {"v1.5-step-3", "step-00000001"}
    assert not dead.exists()


def test_a_reader_in_another_process_keeps_its_checkpoint_until_it_is_killed(
    children: Any, open_manager: Any, live: Any, run_path: Path
) -> None:
    manager = open_manager(keep=KeepLast(1))
    manager.save(10, **live(10).components)
    receive, send = os.pipe()

    def read_for_long() -> None:
        reader = CheckpointManager(run_path)
        with selected(reader._run, 10, strict=False):
            os.write(send, b"reading")
            os.read(os.pipe()[0], 1)

    child = children.start(read_for_long)
    os.read(receive, 7)
    for step in (11, 12, 13):
        manager.save(step, **live(step).components)
    assert [item.step for item in manager.checkpoints()] == [10, 13]
    spared = manager.clean().protected
    assert [(item.checkpoint.step, item.reason) for item in spared] == [
        (10, "somebody is reading it")
    ]
    assert manager.verify(10).ok
    children.kill(child)
    assert [item.checkpoint.step for item in manager.clean(dry_run=False).delete] == [10]
    assert [item.step for item in manager.checkpoints()] == [13]


def test_reading_leaves_no_lease_behind(open_manager: Any, live: Any, run_path: Path) -> None:
    manager = open_manager()
    manager.save(1, **live(1).components)
    manager.restore(**live().components)
    manager.load()
    manager.verify()
    assert list((run_path / ".leases").iterdir()) == []
    assert list((run_path / ".staging").iterdir()) == []
