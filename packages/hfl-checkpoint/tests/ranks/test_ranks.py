"""Several processes save and restore together: what they write, and that a resume is exact."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hfl_checkpoint import CheckpointManager, EverySteps, KeepLast, OnBest, OnSignal

EVERY_3 = {"save": EverySteps(3), "keep": KeepLast(2)}


def train(state: Any, manager: Any, until: int) -> None:
    while state.step < until:
        state.advance()
        if manager is not None:
            manager.step(state)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_run_that_is_killed_twice_ends_with_the_bits_of_one_that_was_not(
    ranks: Any, training: Any, opened: Any, count: int
) -> None:
    def whole(rank: int) -> Any:
        state = training(rank)
        train(state, None, 17)
        return state.bits

    def part(rank: int, until: int) -> Any:
        state = training(rank)
        with opened(**EVERY_3) as manager:
            manager.resume(state)
            train(state, manager, until)
            manager.wait()
            if until < 17:
                os.kill(os.getpid(), signal.SIGKILL)
        return state.bits

    expected = ranks.run(whole, count)
    for until in (5, 10):
        assert ranks.run(lambda rank, until=until: part(rank, until), count) == [None] * count
    found = ranks.run(lambda rank: part(rank, 17), count)
    assert found == expected
    assert len({json.dumps(bits[2]) for bits in found}) == count, "the streams differ"


def test_rank_0_writes_what_is_common_and_every_rank_has_a_file_of_its_own(
    ranks: Any, training: Any, opened: Any, run_path: Path
) -> None:
    def save(rank: int) -> Any:
        state = training(rank)
        state.advance()
        with opened(metadata={"note": "kept"}) as manager:
            checkpoint = manager.save(
                1, metrics={"loss": 1.0 + rank}, **state.components()
            ).result()
            return checkpoint.name, checkpoint.run_id, str(checkpoint.path), checkpoint.metrics

    first, second = ranks.run(save)
    assert first == second
    assert first[3] == {"loss": 1.0}
    manifest = json.loads((run_path / first[0] / "manifest.json").read_text())
    assert manifest["world_size"] == 2
    assert manifest["components"]["stream"]["files"] == [
        "state/stream-00000.json",
        "state/stream-00001.json",
    ]
    assert manifest["components"]["model"]["files"] == ["model.safetensors", "state/model.json"]
    assert CheckpointManager(run_path).verify().ok
    for path in (run_path / first[0]).rglob("*.json"):
        assert not path.stat().st_mode & 0o222, "committed files are read-only"


def test_one_process_reads_what_every_process_has_in_common(
    ranks: Any, training: Any, opened: Any, run_path: Path
) -> None:
    def save(rank: int) -> Any:
        state = training(rank)
        train(state, None, 2)
        with opened(background=False) as manager:
            manager.save(2, **state.components())
        return state.bits[0]

    weights, _ = ranks.run(save)
    state = training(0)
    report = CheckpointManager(run_path).restore(model=state.model, counters=state.counters)
    assert state.bits[0] == weights
    assert report.restored == ("counters", "model")
    loaded = CheckpointManager(run_path).load(only=["stream"])["stream"]
    assert loaded["drawn"] == 4


def test_a_signal_to_one_rank_saves_the_same_step_on_all(
    ranks: Any, training: Any, opened: Any, run_path: Path
) -> None:
    def work(rank: int) -> Any:
        state, told = training(rank), OnSignal("SIGTERM")
        with opened(save=told) as manager:
            while told.received is None:
                if rank == 1 and state.step == 4:
                    os.kill(os.getpid(), signal.SIGTERM)
                state.advance()
                manager.step(state)
            return state.step, manager.latest().step, manager.latest().reason

    assert ranks.run(work) == [(5, 5, "preemption")] * 2


def test_the_metric_of_rank_0_decides_for_all(ranks: Any, training: Any, opened: Any) -> None:
    def work(rank: int) -> Any:
        state = training(rank)
        losses = [3.0, 1.0, 2.0] if rank == 0 else [1.0, 2.0, 0.5]
        with opened(save=OnBest("loss")) as manager:
            for loss in losses:
                state.advance()
                manager.step(state, loss=loss)
            manager.wait()
            return [(item.step, item.metrics["loss"]) for item in manager.checkpoints()]

    assert ranks.run(work) == [[(1, 3.0), (2, 1.0)]] * 2


def test_a_step_that_is_skipped_on_one_rank_is_skipped_on_all(
    ranks: Any, training: Any, opened: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"

    def slowly(operation: str, path: Path) -> None:
        while operation == "create" and path.name == "manifest.json" and not go.exists():
            pass

    def work(rank: int) -> Any:
        state = training(rank)
        with opened(
            observer=slowly if rank == 0 else None, save=EverySteps(2), when_busy="skip"
        ) as manager:
            for _ in range(7):
                state.advance()
                saved = manager.step(state)
                if state.step == 5:
                    go.touch()
                    manager.wait()
            manager.wait()
            return manager.skipped, [item.step for item in manager.checkpoints()], saved is None

    first, second = ranks.run(work)
    assert first == second
    assert first[:2] == ((4,), [2, 6])


def test_two_managers_beside_each_other_do_not_mix_up_their_saves(
    ranks: Any, training: Any, opened: Any, run_path: Path
) -> None:
    def work(rank: int) -> Any:
        state = training(rank)
        with opened(run_path / "a") as one, opened(run_path / "b") as two:
            for step in range(1, 6):
                state.advance()
                pending = [item.save(step, **state.components()) for item in (one, two)]
            return [item.result().step for item in pending], [
                len(item.checkpoints()) for item in (one, two)
            ]

    assert ranks.run(work) == [([5, 5], [5, 5])] * 2


def test_restoring_an_older_checkpoint_goes_on_from_it_on_all_ranks(
    ranks: Any, training: Any, opened: Any
) -> None:
    def work(rank: int) -> Any:
        state = training(rank)
        with opened() as manager:
            for step in (1, 2, 3):
                state.advance()
                manager.save(
                    step, metrics={"loss": [3.0, 1.0, 2.0][step - 1]}, **state.components()
                )
            # What rank 0 asks for counts.
            report = manager.restore("best:loss" if rank == 0 else 1, **state.components())
            state.advance()
            again = manager.save(3, **state.components()).result()
            return report.checkpoint.step, state.step, state.stream.drawn, again.name

    assert ranks.run(work) == [(2, 3, 6, "step-00000003-2")] * 2


def test_every_tool_knows_that_a_component_has_several_ranks(
    ranks: Any, training: Any, opened: Any, run_path: Path, tmp_path: Path
) -> None:
    import torch
    from click.testing import CliRunner

    from hfl_checkpoint import export_checkpoint
    from hfl_checkpoint.cli import checkpoint as commands

    def save(rank: int) -> None:
        state = training(rank)
        with opened() as manager:
            for step in (1, 2):
                if rank == 1:
                    state.stream.draw()
                manager.save(step, **state.components())

    ranks.run(save)

    def hfl(*words: str) -> Any:
        answer = CliRunner().invoke(commands, list(words))
        assert answer.exit_code == 0, answer.output
        return answer.output

    assert "stream (2 ranks)" in hfl("show", str(run_path))
    assert json.loads(hfl("show", str(run_path), "--format", "json"))["ranks"] == {"stream": 2}
    found = json.loads(hfl("diff", str(run_path), "1", "2", "--format", "json"))
    assert "rank 1/drawn" in json.dumps(found)
    assert "rank 0/drawn" not in json.dumps(found)
    file = export_checkpoint(run_path, 2, tmp_path / "all.pt", form="torch")
    assert [item["drawn"] for item in torch.load(file, weights_only=True)["stream"]] == [0, 2]

    # A damaged file of one rank is named.
    damaged = run_path / "step-00000002" / "state" / "stream-00001.json"
    damaged.chmod(0o644)
    damaged.write_bytes(b"[" + damaged.read_bytes()[1:])
    problems = CheckpointManager(run_path).verify().problems
    assert [item.file for item in problems] == ["state/stream-00001.json"]
