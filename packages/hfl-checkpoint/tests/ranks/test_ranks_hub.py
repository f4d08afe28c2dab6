"""Two processes publish, and two on another machine go on from the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest

from hfl_checkpoint import CheckpointManager
from hfl_localhub import LocalHub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    import huggingface_hub.constants

    for name in ("HFL_PROFILE", "HFL_ENDPOINT", "HFL_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    with LocalHub(tmp_path / "hub") as running:
        for name, value in running.settings(running.create_user("ann")).items():
            monkeypatch.setenv(name, value)
        yield running


def test_two_ranks_publish_once_and_two_elsewhere_go_on(
    ranks: Any, training: Any, opened: Any, hub: LocalHub, tmp_path: Path
) -> None:
    # Here, so that the forks have imported what publishing and fetching need.
    with CheckpointManager(tmp_path / "warm", hub="ann/warm", background=False) as manager:
        manager.save(1, counters={"seen": 1})
    with CheckpointManager(tmp_path / "warmer", hub="ann/warm", background=False) as manager:
        manager.resume(counters={"seen": 0})

    def save(rank: int) -> Any:
        state = training(rank)
        with opened(hub="ann/run", hub_wait=60) as manager:
            for step in (1, 2):
                state.advance()
                manager.save(step, **state.components())
        return state.bits

    def elsewhere(rank: int) -> Any:
        state = training(rank)
        with opened(tmp_path / "elsewhere", hub="ann/run") as manager:
            report = manager.resume(state)
        return report.checkpoint.name, state.bits

    def by_address(rank: int) -> Any:
        state = training(rank)
        with opened(tmp_path / "third") as manager:
            report = manager.restore("hf://ann/run@checkpoints/step-00000001", **state.components())
        return report.checkpoint.step, state.step, state.stream.drawn

    expected = ranks.run(save)
    assert ranks.run(elsewhere) == [("step-00000002", bits) for bits in expected]
    assert ranks.run(by_address) == [(1, 1, 2)] * 2
    found = CheckpointManager(tmp_path / "fourth", hub="ann/run").remote_checkpoints()
    assert [item.step for item in found] == [1, 2]
