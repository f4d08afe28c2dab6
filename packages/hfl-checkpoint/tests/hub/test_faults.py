"""A Hub that fails in every way it can, other writers, and processes that die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from hfl_checkpoint import CheckpointManager, KeepAll, KeepLast
from hfl_core import IntegrityError, NetworkError

from .conftest import pending


def publications(remote) -> list:
    return [title for title in remote.titles if title.startswith("Publish")]


def complete(remote) -> list:
    """The names of the checkpoints at one commit, each of which has every file of its manifest."""
    tree = remote.repo.tree(remote.branch)
    names = sorted({path.split("/")[1] for path in tree.files if path.count("/") > 1})
    for name in names:
        data = remote.repo.read(f"checkpoints/{name}/manifest.json", tree.commit)
        for file in json.loads(data)["files"]:
            assert f"checkpoints/{name}/{file['path']}" in tree.files
    return names


def test_a_commit_whose_answer_was_lost_is_no_second_one(hub, train, remote) -> None:
    hub.faults.answer(500, after=True, path="*/commit/*")
    train(1)
    assert publications(remote) == ["Publish step-00000001"]


def test_another_process_recognises_a_commit_whose_answer_never_came(
    hub, run_path, name, live, repo, remote, queue, children
) -> None:
    repo.create(private=True)
    repo.create_branch("checkpoints")

    def train_and_die():
        with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
            manager._worker = None  # this one publishes by hand
            manager.save(1, **live(1).components)
            manager.push()

    fault = hub.faults.answer(500, after=True, path="*/commit/*", times=None)
    looked = hub.faults.answer(503, path="*/commits/*", times=None)
    with pytest.raises(AssertionError, match="NetworkError"):
        children.call(train_and_die)
    assert fault.hits == 1
    assert looked.hits > 0
    hub.faults.clear()
    assert pending(queue()) == ["step-00000001"]
    with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
        report = manager.push()
    assert (report.published, report.found) == ((), ("step-00000001",))
    assert publications(remote) == ["Publish step-00000001"]


def test_the_end_of_a_run_does_not_wait_for_a_network_that_was_switched_off(
    name, run_path, live, queue, monkeypatch
) -> None:
    monkeypatch.setenv("HFL_OFFLINE", "1")
    manager = CheckpointManager(run_path, hub=name, hub_wait=3600)
    manager.save(1, **live(1).components)
    closing = threading.Thread(target=manager.close, daemon=True)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()
    assert pending(queue()) == ["step-00000001"]


def test_a_gateway_that_fails_now_and_then_is_no_trouble(hub, train, remote) -> None:
    hub.faults.answer(502, times=None, probability=0.2, seed=5)
    train(1, 2, hub_wait=60)
    hub.faults.clear()
    assert remote.names == ["step-00000001", "step-00000002"]


def test_the_quota_of_commits_is_kept_and_everything_arrives(
    hub, run_path, name, live, remote
) -> None:
    fault = hub.faults.commit_quota(2, window=3.0)
    with CheckpointManager(
        run_path, hub=name, hub_keep=KeepAll(), keep=KeepLast(1), hub_wait=60
    ) as manager:
        for step in range(1, 13):
            manager.save(step, **live(step).components)
            if step < 4:
                manager.wait()
                hub.requests.wait("POST", "*/commit/*", count=min(step, 2))
    assert len(remote.names) == 12
    refused = [
        record
        for record in hub.requests.matching("POST", f"*{name}/commit/*")
        if record.status == 429
    ]
    assert fault.hits - len(refused) <= 6
    assert len(refused) <= 4
    assert remote.latest["latest"] == "step-00000012"


def test_eight_writers_on_one_branch_all_arrive(
    hub, name, repo, remote, tmp_path, live, children
) -> None:
    repo.create(private=True)
    repo.create_branch("checkpoints")

    def write(number):
        def work():
            with CheckpointManager(tmp_path / f"run{number}", hub=name, hub_wait=0) as manager:
                manager._worker = None  # this one publishes by hand
                manager.save(number, metrics={"loss": number}, **live(number).components)
                return manager.push().published

        return work

    pids = [children.start(write(number)) for number in range(1, 9)]
    for pid in pids:
        assert children.wait(pid) == 0
    assert complete(remote) == [f"step-{number:08d}" for number in range(1, 9)]
    assert {item["name"] for item in remote.latest["checkpoints"]} == set(remote.names)


def test_two_processes_never_publish_the_same_twice(
    hub, train, run_path, name, remote, children
) -> None:
    train(1, 2, broken=503, hub_wait=0)
    hub.faults.clear()

    def push():
        with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
            return manager.push().published

    pids = [children.start(push) for _ in range(3)]
    for pid in pids:
        assert children.wait(pid) == 0
    assert len(publications(remote)) == 1
    assert remote.names == ["step-00000001", "step-00000002"]


class Wide(torch.nn.Module):
    def __init__(self, size=40_000) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(size))


def test_what_arrived_before_the_connection_broke_is_not_sent_again(
    hub, run_path, name, remote, children
) -> None:
    models = {f"model{number}": Wide() for number in range(4)}
    with CheckpointManager(run_path, background=False) as manager:
        size = manager.save(1, **models)
        size = (run_path / "step-00000001/model0/model.safetensors").stat().st_size

    def push():
        with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
            return manager.push().bytes_sent

    hub.faults.drop(int(size * 0.9), direction="upload", method="PUT", skip=3, times=None)
    with pytest.raises(AssertionError, match="NetworkError"):
        children.call(push)
    hub.faults.clear()
    before = hub.requests.bytes_in("PUT")
    small = children.call(push) - size
    assert 0 < small < size / 2
    assert hub.requests.bytes_in("PUT") - before == size  # the one file that broke off
    assert remote.names == ["step-00000001"]


def test_a_byte_that_flips_on_the_way_there_is_sent_again(
    hub, train, remote, tmp_path, name, live
) -> None:
    fault = hub.faults.corrupt(100, direction="upload", method="PUT")
    train(1)
    assert fault.hits == 1
    state = live()
    with CheckpointManager(tmp_path / "elsewhere", hub=name, hub_wait=0) as manager:
        assert manager.resume(**state.components).checkpoint.step == 1


def test_bytes_that_always_flip_on_the_way_are_never_seen(hub, run_path, name, live, repo) -> None:
    hub.faults.corrupt(100, direction="upload", method="PUT", times=None)
    with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
        manager.save(1, **live(1).components)
        with pytest.raises((IntegrityError, NetworkError)):
            manager.push()
    assert [path for path in repo.tree("checkpoints").files if "step" in path] == []


def test_a_branch_that_somebody_else_moves_is_looked_at_again(
    hub, run_path, name, live, repo, remote
) -> None:
    repo.create(private=True)
    repo.create_branch("checkpoints")
    stalled = hub.faults.stall(10, direction="upload", method="PUT")
    with CheckpointManager(run_path, hub=name, hub_wait=30) as manager:
        manager.save(1, **live(1).components)
        assert stalled.wait_until_reached()
        repo.commit({"notes.txt": b"theirs"}, message="Theirs", revision="checkpoints")
        stalled.release()
    assert "notes.txt" in remote.files
    assert remote.names == ["step-00000001"]


def test_a_branch_that_somebody_squashes_or_empties_is_looked_at_again(train, remote, repo) -> None:
    train(1)
    repo.commit(delete=["checkpoints/"], message="Empty", revision="checkpoints")
    train(2)
    assert remote.names == ["step-00000002"]
    repo.delete_branch("checkpoints")
    train(3)
    assert remote.names == ["step-00000003"]


def test_local_retention_leaves_alone_what_is_being_uploaded(
    hub, run_path, name, live, remote
) -> None:
    stalled = hub.faults.stall(10, direction="upload", method="PUT")
    with CheckpointManager(run_path, hub=name, keep=KeepLast(1), hub_wait=30) as manager:
        manager.save(1, **live(1).components)
        assert stalled.wait_until_reached()
        for step in (2, 3):
            manager.save(step, **live(step).components)
            manager.wait()
        assert (run_path / "step-00000001" / "manifest.json").is_file()
        stalled.release()
    assert "step-00000001" in remote.names
    assert "step-00000003" in remote.names


def test_readers_see_whole_checkpoints_only(hub, run_path, name, live, repo, remote) -> None:
    repo.create(private=True)
    repo.create_branch("checkpoints")
    seen = []
    is_over = threading.Event()

    def read():
        while not is_over.wait(0.02):
            seen.append(tuple(complete(remote)))

    reader = threading.Thread(target=read)
    reader.start()
    with CheckpointManager(run_path, hub=name, hub_keep=KeepLast(2), hub_wait=200) as manager:
        for step in range(1, 8):
            manager.save(step, **live(step).components)
    is_over.set()
    reader.join()
    assert seen
    assert remote.names == ["step-00000006", "step-00000007"]


def test_closing_waits_no_longer_than_it_was_told(hub, run_path, name, live, queue) -> None:
    stalled = hub.faults.stall(10, direction="upload", method="PUT", times=None)
    manager = CheckpointManager(run_path, hub=name, hub_wait=0.2)
    manager.save(1, **live(1).components)
    assert stalled.wait_until_reached()
    started = time.monotonic()
    closing = threading.Thread(target=manager.close)
    closing.start()
    closing.join(30)
    assert not closing.is_alive()
    assert time.monotonic() - started < 30
    assert pending(queue()) == ["step-00000001"]
    stalled.release()


PROGRAM = """
import sys, torch
from hfl_checkpoint import CheckpointManager, EverySteps

class State:
    step, epoch = 0, None
    def components(self):
        return {"model": model}

model, state = torch.nn.Linear(3, 2), State()
checkpoints = CheckpointManager(sys.argv[1], save=EverySteps(1), hub=sys.argv[2], hub_wait=1)
for state.step in (1, 2, 3):
    checkpoints.step(state, loss=1.0)
checkpoints.wait()
print("trained")  # and ends without closing anything
"""


def test_a_program_that_ends_while_the_hub_is_down_ends_well_and_another_one_finishes(
    hub, run_path, name, remote, tmp_path
) -> None:
    hub.faults.answer(503, times=None)
    env = {**os.environ, "HFL_RETRY_ATTEMPTS": "1"}
    program = [sys.executable, "-c", PROGRAM, str(run_path), name]
    ended = subprocess.run(program, env=env, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "trained\n"), ended.stderr
    assert f"hfl checkpoint push {run_path}" in ended.stderr
    hub.faults.clear()
    finish = [sys.executable, "-c", "from hfl_checkpoint.cli import main; main()", "push"]
    ended = subprocess.run(
        [*finish, str(run_path)], env=env, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert remote.names == ["step-00000001", "step-00000002", "step-00000003"]
    ended = subprocess.run(
        [*finish, str(run_path)], env=env, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    assert len(publications(remote)) == 1


@pytest.mark.torture
def test_a_process_killed_between_any_two_requests_leaves_one_whole_publication(
    hub, name, tmp_path, live, children, memory_path
) -> None:
    from hfl_repo import RepoManager

    from .conftest import Remote

    def publish(place, target, kill_at):
        def work():
            import huggingface_hub

            session = huggingface_hub.utils.get_session()
            plain, count = type(session).request, [0]

            def request(self, *args, **options):
                count[0] += 1
                if count[0] == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return plain(self, *args, **options)

            type(session).request = request
            with CheckpointManager(place, hub=target, hub_wait=0) as manager:
                manager._worker = None  # this one publishes by hand
                manager.save(1, **live(1).components)
                manager.push()
                return count[0]

        return work

    kill_at, count = 0, None
    while count is None:
        kill_at += 1
        target, place = f"{name}-{kill_at}", memory_path / f"run{kill_at}"
        remote = Remote(RepoManager(target))
        count = children.call(publish(place, target, kill_at))
        if count is None:
            branches = []
            if remote.repo.exists():
                branches = [ref.name for ref in remote.repo.list_branches()]
            seen = complete(remote) if "checkpoints" in branches else []
            assert seen in ([], ["step-00000001"])
            with CheckpointManager(place, hub=target, hub_wait=0) as manager:
                report = manager.push()
            assert report.published + report.found == ("step-00000001",)
        assert complete(remote) == ["step-00000001"]
        assert publications(remote) == ["Publish step-00000001"]
    assert kill_at > 10
