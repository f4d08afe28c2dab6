from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from hfl_repo import RepoManager

UPLOAD = """
import logging, sys
from hfl_repo import RepoManager
repo = RepoManager(sys.argv[1])
report = repo.upload(sys.argv[2], message="Once")
print(report.bytes_sent)
"""
FILES = {"a.bin": 60_000, "b.bin": 50_000, "c.txt": "text", "README.md": "# x\n"}


@pytest.fixture
def elsewhere(hub, ann, tmp_path):
    """Upload in a process of its own."""

    def elsewhere(repo, here, *, xet=False):
        environment = hub.environment(ann.token)
        environment.update(XDG_CACHE_HOME=str(tmp_path / "cache"), HOME=str(tmp_path))
        environment["HFL_RETRY_ATTEMPTS"] = "2"
        environment["HF_HUB_DISABLE_XET"] = "0" if xet else "1"
        return subprocess.Popen(
            [sys.executable, "-c", UPLOAD, repo.repo_id, str(here)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return elsewhere


def finished(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return int(out)


@pytest.mark.torture
@pytest.mark.parametrize("xet", [False, True], ids=["lfs", "xet"])
def test_killed_at_any_request_another_process_finishes_it(  # noqa: PLR0917  # fixtures
    xet, folder, hub, ann, manager, sent, elsewhere, snapshot_of, content_of, history
) -> None:
    here = folder(FILES)
    counting = manager(ann.new_repo())
    seen = sent()
    finished(elsewhere(counting, here, xet=xet))
    requests = seen.count()
    assert requests >= 8
    # Some requests of a process run at once; the one that stalls is any of them.
    for number in range(0, requests, 3 if xet else 1):
        victim = manager(ann.new_repo())
        fault = hub.faults.stall(0, direction="download", skip=number)
        process = elsewhere(victim, here, xet=xet)
        try:
            while not fault.wait_until_reached(0.05) and process.poll() is None:
                pass  # Xet asks less when the Hub knows a part of a file already
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
        finally:
            hub.faults.clear()
        _wait_for_silence(hub)
        half = snapshot_of(victim)
        assert half in ({}, content_of(here)), number
        seen = sent()
        report = victim.upload(here, message="Once")
        assert snapshot_of(victim) == content_of(here)
        assert history(victim).count("Once") == 1
        if half:
            assert report.is_empty
            assert seen.content == 0


def test_what_arrived_before_the_kill_is_not_sent_again(
    repo, folder, hub, sent, elsewhere, snapshot_of, content_of
) -> None:
    here = folder({f"{n}.bin": 100_000 for n in range(6)})
    hub.faults.drop(90_000, direction="upload", path="/_lfs/*", method="PUT", skip=4, times=None)
    process = elsewhere(repo, here)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0, err
    assert snapshot_of(repo) == {}
    hub.faults.clear()
    seen = sent()
    assert finished(elsewhere(repo, here)) == 200_000
    assert seen.content == 200_000
    assert snapshot_of(repo) == content_of(here)


def test_ctrl_c_ends_an_upload_and_leaves_the_repository_alone(
    repo, folder, hub, elsewhere, snapshot_of
) -> None:
    here = folder({"a.bin": 60_000})
    fault = hub.faults.stall(0, direction="download", path="*/preupload/*")
    process = elsewhere(repo, here)
    assert fault.wait_until_reached(60)
    process.send_signal(signal.SIGINT)
    fault.release()
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert snapshot_of(repo) in ({}, {"a.bin": (here / "a.bin").read_bytes()})


def test_two_processes_that_upload_the_same_at_once_make_one_commit(
    repo, folder, elsewhere, history, snapshot_of, content_of
) -> None:
    here = folder({"a.bin": 60_000, "b.txt": "b"})
    for process in [elsewhere(repo, here), elsewhere(repo, here)]:
        finished(process)
    assert history(repo).count("Once") == 1
    assert snapshot_of(repo) == content_of(here)


def test_the_manager_works_without_any_cache(repo, folder, monkeypatch, tmp_path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert RepoManager(repo.repo_id).upload(folder({"a.txt": "a"})).commit
    assert os.path.isfile(blocked)


def _wait_for_silence(hub) -> None:
    """Wait until the Hub is done with everything that has arrived."""
    while not all(record.is_done for record in list(hub.requests)):
        pass


def test_ctrl_c_does_not_wait_for_what_is_being_sent(
    repo, folder, hub, elsewhere, sent, snapshot_of
) -> None:
    here = folder({f"{n}.bin": 3_000_000 for n in range(3)})
    hub.faults.slow(100_000, direction="upload", path="/_lfs/*", method="PUT", times=None)
    seen = sent()
    process = elsewhere(repo, here)
    while seen.bytes("PUT", "/_lfs/") == 0 and process.poll() is None:
        pass
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in err
    assert snapshot_of(repo) == {}
