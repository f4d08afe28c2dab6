"""Kills at many requests and file operations of what is done with the Hub; another process finishes.

Every one of them was tried; strides keep the tests short.
"""

from __future__ import annotations

import json
import os
import signal
from typing import Any, Callable

import huggingface_hub
import pytest

from hfl_checkpoint import CheckpointManager, KeepLast
from hfl_checkpoint._verify import verify
from hfl_core import Files
from hfl_repo import RepoManager

from .conftest import Remote

Killing = Callable[[Callable[[], Any], int], Any]


class Countdown:
    """Kills this process at the n-th thing that it does: a request, or a change of the disk."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at, self.count = kill_at, 0

    def __call__(self, *_: Any) -> None:
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch_requests(self) -> None:
        session = type(huggingface_hub.utils.get_session())
        plain = session.request

        def request(this: Any, *args: Any, **options: Any) -> Any:
            self()
            return plain(this, *args, **options)

        session.request = request


@pytest.fixture
def killed(children) -> Callable[[Callable[[Countdown], Any], int], Any]:
    """Do something in a fork that is killed at its n-th step; False when it came to its end."""

    def run(action: Callable[[Countdown], Any], kill_at: int) -> bool:
        def work() -> bool:
            countdown = Countdown(kill_at)
            countdown.watch_requests()
            action(countdown)
            return True

        return children.call(work) is None

    return run


def complete(remote: Remote) -> list:
    """The checkpoints on the branch; each has every file that its manifest lists."""
    names = remote.names
    for name in names:
        manifest = json.loads(remote.read(f"{name}/manifest.json"))
        listed = {f"checkpoints/{name}/{item['path']}" for item in manifest["files"]}
        assert listed <= set(remote.files), name
    return names


def quiet(place, name, **options) -> CheckpointManager:
    """A manager that publishes when it is told to."""
    manager = CheckpointManager(
        place, hub=name, hub_wait=0, metadata={}, background=False, **options
    )
    manager._worker = None
    return manager


@pytest.mark.torture
def test_a_kill_while_publishing_and_retiring_leaves_each_checkpoint_once(
    killed, name, memory_path, live
) -> None:
    is_killed, kill_at = True, 0
    while is_killed:
        kill_at += 13
        target, place = f"{name}-{kill_at}", memory_path / f"run{kill_at}"
        options = {"hub_keep": KeepLast(2), "keep": KeepLast(3)}
        state = live()
        with quiet(place, target, **options) as manager:
            for step in (1, 2):
                manager.save(step, **state.move_to(step).components)
                manager.push()

        def publish(countdown, place=place, target=target, options=options, state=state) -> None:
            manager = quiet(place, target, **options)
            manager._run.files = Files(countdown)
            manager.resume(**state.components)
            manager.save(3, **state.move_to(3).components)
            manager.push()

        is_killed = killed(publish, kill_at)
        remote = Remote(RepoManager(target))
        seen = complete(remote)
        assert seen in (
            ["step-00000001", "step-00000002"],
            ["step-00000002", "step-00000003"],
        )
        with quiet(place, target, **options) as manager:
            manager.resume(**state.components)
            if state.stands_at == 2:
                manager.save(3, **state.move_to(3).components)
            manager.push()
            assert manager.latest().step == 3
        assert complete(remote) == ["step-00000002", "step-00000003"]
        assert remote.latest["latest"] == "step-00000003"
        assert len([title for title in remote.titles if "step-00000003" in title]) == 1
    assert kill_at > 30


@pytest.mark.torture
def test_a_kill_while_promoting_leaves_a_whole_model_and_can_be_finished(
    killed, name, memory_path, live
) -> None:
    place = memory_path / "run"
    with quiet(place, name) as manager:
        for step in (1, 2):
            manager.save(step, **live(step).components)
            manager.push()
        manager.promote(1, tag="v1")
    repo = RepoManager(name)
    is_killed, kill_at = True, 0
    while is_killed:
        kill_at += 3
        which = 2 - kill_at % 2

        def promote(countdown, which=which, tag=f"t{kill_at}") -> None:
            quiet(place, name).promote(which, tag=tag)

        is_killed = killed(promote, kill_at)
        tree = repo.tree("main")
        models = {
            step: (place / f"step-{step:08d}" / "model.safetensors").read_bytes() for step in (1, 2)
        }
        assert repo.read("model.safetensors", tree.commit) in models.values()
        with quiet(place, name) as manager:
            report = manager.promote(which, tag=f"t{kill_at}")
        assert repo.read("model.safetensors", f"t{kill_at}") == models[which]
        assert repo.card(report.commit).metadata["hfl_checkpoint"]["step"] == which
    assert kill_at > 5


@pytest.mark.torture
def test_a_kill_while_reclaiming_loses_nothing_that_is_shown(
    killed, name, memory_path, live
) -> None:
    is_killed, kill_at = True, 0
    while is_killed:
        kill_at += 4
        target, place = f"{name}-{kill_at}", memory_path / f"run{kill_at}"
        state = live()
        with quiet(place, target, hub_keep=KeepLast(1)) as manager:
            for step in (1, 2):
                manager.save(step, **state.move_to(step).components)
                manager.push()

        def reclaim(countdown, place=place, target=target) -> None:
            quiet(place, target).reclaim(plan_only=False, confirm=target)

        is_killed = killed(reclaim, kill_at)
        repo = RepoManager(target)
        remote = Remote(repo)
        assert complete(remote) == ["step-00000002"]
        with quiet(place, target) as manager:
            manager.reclaim(plan_only=False, confirm=target)
            there = {file.sha256 for file in repo.tree("checkpoints").files.values() if file.sha256}
            assert {file.sha256 for file in repo.storage().files} == there
        with quiet(memory_path / f"other{kill_at}", target) as manager:
            manager.resume(**state.move_to(9).components)
            assert state.stands_at == 2
    assert kill_at > 5


@pytest.mark.torture
def test_a_kill_while_fetching_leaves_no_half_checkpoint(killed, name, memory_path, live) -> None:
    state = live()
    with quiet(memory_path / "run", name) as manager:
        for step in (1, 2):
            manager.save(step, **state.move_to(step).components)
            manager.push()
    is_killed, kill_at = True, 0
    while is_killed:
        kill_at += 7
        place = memory_path / f"elsewhere{kill_at}"

        def fetch(countdown, place=place) -> None:
            manager = quiet(place, name)
            manager._run.files = Files(countdown)
            manager.pull(1)
            manager.pull("latest")

        is_killed = killed(fetch, kill_at)
        with quiet(place, name) as manager:
            for item in manager.checkpoints():
                assert verify(item.path).ok
            manager.resume(**state.move_to(9).components)
            assert state.stands_at == 2
            manager.save(3, **state.move_to(3).components)
            # A lease that was begun counts for a minute: whoever writes it may be alive.
            left = [path.suffix for path in (place / ".staging").iterdir()]
            assert left in ([], [".lease"])
            assert [item.step for item in manager.checkpoints()] in ([1, 2, 3], [2, 3])
    assert kill_at > 10
