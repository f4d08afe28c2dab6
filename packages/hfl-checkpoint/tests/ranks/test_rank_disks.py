"""Shared disks and private ones: rank 0 holds the run, and the others get what they need to see."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def apart(tmp_path: Path) -> Any:
    """Give each rank a disk of its own: the same relative path means another place on each."""

    def enter(rank: int) -> Path:
        place = tmp_path / f"disk-{rank}"
        place.mkdir(exist_ok=True)
        os.chdir(place)
        return Path("run")

    return enter


def test_ranks_without_a_common_disk_resume_to_the_bit(
    ranks: Any, training: Any, opened: Any, apart: Any, tmp_path: Path
) -> None:
    def train(rank: int, until: int) -> Any:
        state = training(rank)
        with opened(apart(rank)) as manager:
            report = manager.resume(state)
            place = None if report is None else str(report.checkpoint.path)
            while state.step < until:
                state.advance()
                manager.save(state.step, **state.components())
            manager.wait()
        return state.bits, place

    def whole(rank: int) -> Any:
        state = training(rank)
        while state.step < 6:
            state.advance()
        return state.bits

    expected = ranks.run(whole)
    ranks.run(lambda rank: train(rank, 2))
    found = ranks.run(lambda rank: train(rank, 4))
    assert found[0][1] == "run/step-00000002"
    assert [bits for bits, _ in ranks.run(lambda rank: train(rank, 6))] == expected
    assert len(list((tmp_path / "disk-0" / "run").glob("step-*"))) == 6
    assert [path.name for path in (tmp_path / "disk-1" / "run").rglob("*") if path.is_file()] == [
        ".lock"
    ] or not list(
        (tmp_path / "disk-1" / "run").rglob("step-*")
    ), "copies are gone once they are read"


@pytest.mark.parametrize("way", ["resume", "fetch_newer"])
def test_a_run_whose_rank_0_moved_to_an_empty_machine_does_not_begin_anew(
    ranks: Any, training: Any, opened: Any, apart: Any, outcome: Any, way: str
) -> None:
    def first(rank: int) -> Any:
        state = training(rank)
        with opened(apart(rank)) as manager:
            state.advance()
            manager.save(state.step, **state.components())

    def swapped(rank: int) -> Any:
        with opened(apart(1 - rank)) as manager:
            arguments = [training(rank)] if way == "resume" else []
            return outcome(getattr(manager, way), *arguments)

    ranks.run(first)
    for found in ranks.run(swapped):
        assert found["error"] == "CheckpointError"
        assert "rank 1 has step-00000001" in found["text"]
        assert "as rank 0" in found["hint"]


def test_a_large_file_is_passed_on_in_pieces(
    ranks: Any, opened: Any, apart: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from hfl_checkpoint import _relay

    monkeypatch.setattr(_relay, "PIECE_BYTES", 1000)

    def work(rank: int) -> Any:
        torch.manual_seed(0)
        model = torch.nn.Linear(40, 40)
        with opened(apart(rank)) as manager:
            manager.save(1, model=model).result()
            other = torch.nn.Linear(40, 40)
            manager.restore(model=other)
            loaded = manager.load(only=["model"])["model"]
            return torch.equal(other.weight, model.weight), torch.equal(
                loaded["weight"], model.weight
            )

    assert ranks.run(work) == [(True, True)] * 2


def test_a_rank_whose_own_disk_is_full_cannot_receive_and_all_are_told(
    ranks: Any, training: Any, opened: Any, outcome: Any, small_disk: Any, run_path: Path
) -> None:
    import torch

    full = small_disk(1)

    def work(rank: int) -> Any:
        model = torch.nn.Linear(1, 1 << 18)
        with opened(run_path if rank == 0 else full / "run") as manager:
            manager.save(1, model=model).result()
            with torch.no_grad():
                model.weight.fill_(0.5)
            failed = outcome(manager.restore, model=model)
            return failed["error"], failed["text"], set(model.weight.flatten().tolist())

    first, second = ranks.run(work)
    assert first == second
    assert first[0] == "DiskSpaceError"
    assert first[1].startswith("On rank 1: ")
    assert first[2] == {0.5}


def test_a_checkpoint_of_the_same_name_on_another_disk_is_not_taken_for_it(
    ranks: Any, training: Any, opened: Any, apart: Any
) -> None:
    def alone(rank: int) -> None:
        state = training(rank)
        state.counters["step"] = -rank
        import torch.distributed as dist

        dist.destroy_process_group()
        with opened(apart(rank), background=False) as manager:
            manager.save(1, **state.components())

    ranks.run(alone)

    def together(rank: int) -> Any:
        state = training(rank)
        with opened(apart(rank)) as manager:
            manager.restore(allow_missing={"stream"}, **state.components())
        return state.step

    assert ranks.run(together) == [0, 0]
