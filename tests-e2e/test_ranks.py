"""Several processes with DistributedDataParallel, a training state and a checkpoint manager."""

from __future__ import annotations

import datetime
import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any, List, Optional

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

from hfl_checkpoint import CheckpointManager, EverySteps, KeepLast, WorldSizeError
from hfl_state import PreemptionGuard, TrainingState

LENGTH = 24


class Noise:
    """Samples whose augmentation is drawn from the global stream."""

    def __len__(self) -> int:
        return LENGTH

    def __getitem__(self, index: int) -> Any:
        return {"id": index, "x": torch.rand(4)}


def build(**options: Any) -> TrainingState:
    torch.manual_seed(7)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
    torch.manual_seed(100 + dist.get_rank())
    loader = DataLoader(Noise(), batch_size=2, sampler=DistributedSampler(range(LENGTH), seed=1))
    # Its groups of gradients stay as they are, so that sums of more than two have one order.
    wrapped = DistributedDataParallel(model, find_unused_parameters=dist.get_world_size() > 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    return TrainingState(model=wrapped, optimizer=optimizer, loader=loader, **options)


def train(
    state: TrainingState, manager: Optional[CheckpointManager], ids: List[Any], stop: int = 0
) -> None:
    for batch in state.batches(epochs=3):
        ids.append([state.step, batch["id"].tolist()])
        state.optimizer.zero_grad()
        state.model(batch["x"]).square().mean().backward()
        state.optimizer.step()
        if manager is not None:
            manager.step(state)
        if state.step == stop:
            return


def begin(rank: int, folder: Path, count: int, job: Any, arguments: Any) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting-{job.__name__}-{count}-{arguments}",
        rank=rank,
        world_size=count,
        timeout=datetime.timedelta(seconds=60),
    )
    found = job(folder, *arguments)
    (folder / f"found-{rank}.json").write_text(json.dumps(found))
    dist.barrier()
    os._exit(0)


def on_ranks(folder: Path, count: int, job: Any, *arguments: Any, expect: int = 0) -> List[Any]:
    context = multiprocessing.get_context("fork")
    torch.optim.AdamW([torch.zeros(1)])
    running = [
        context.Process(target=begin, args=(rank, folder, count, job, arguments))
        for rank in range(count)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join(120)
    assert [process.exitcode for process in running] == [expect] * count
    files = [folder / f"found-{rank}.json" for rank in range(count)]
    return [] if expect else [json.loads(file.read_text()) for file in files]


def outcome(state: TrainingState) -> Any:
    return [
        {name: value.tolist() for name, value in state.model.module.state_dict().items()},
        torch.rand(1).item(),
        [state.step, state.epoch, state.samples],
    ]


def whole(folder: Path) -> Any:
    state, ids = build(), []
    train(state, None, ids)
    return [outcome(state), ids]


def part(folder: Path, stop: int) -> Any:
    state, ids = build(), []
    with CheckpointManager(folder / "run", save=EverySteps(2), keep=KeepLast(2)) as manager:
        manager.resume(state)
        train(state, manager, ids, stop)
        manager.wait()
        if stop:
            os.kill(os.getpid(), signal.SIGKILL)
    return [outcome(state), ids]


@pytest.mark.parametrize("count", [2, 4])
def test_ranks_that_are_killed_twice_see_the_samples_and_end_with_the_bits(
    tmp_path: Path, count: int
) -> None:
    expected = on_ranks(tmp_path, count, whole)
    on_ranks(tmp_path, count, part, 3, expect=-signal.SIGKILL)
    on_ranks(tmp_path, count, part, 7, expect=-signal.SIGKILL)
    found = on_ranks(tmp_path, count, part, 0)
    for rank in range(count):
        assert found[rank][0] == expected[rank][0]
        assert found[rank][1] == expected[rank][1][6:], "from the batch after the last save"


def told(folder: Path) -> Any:
    with PreemptionGuard("SIGTERM") as guard:
        state, ids = build(guard=guard), []
        with CheckpointManager(folder / "run", save=guard) as manager:
            for batch in state.batches(epochs=3):
                ids.append(batch["id"].tolist())
                if state.step == 4 and dist.get_rank() == 1:
                    os.kill(os.getpid(), signal.SIGTERM)
                manager.step(state)
        latest = manager.latest()
        return [state.step, guard.reason, None if latest is None else [latest.step, latest.reason]]


def test_a_guard_on_one_rank_saves_and_ends_all_at_the_same_step(tmp_path: Path) -> None:
    assert on_ranks(tmp_path, 2, told) == [[4, "SIGTERM", [4, "preemption"]]] * 2


def with_others(folder: Path) -> Any:
    with CheckpointManager(folder / "run") as manager:
        try:
            manager.resume(build())
        except WorldSizeError as error:
            refused = str(error)
        state, ids = build(on_change="override"), []
        manager.resume(state)
        train(state, None, ids)
    return [refused, [sample for _, batch in ids for sample in batch][: LENGTH // 2]]


def save_six(folder: Path) -> Any:
    state, ids = build(), []
    with CheckpointManager(folder / "run", save=EverySteps(3)) as manager:
        train(state, manager, ids, stop=3)
    return [sample for _, batch in ids for sample in batch]


def test_another_number_of_ranks_goes_on_with_the_rest_of_the_epoch_if_that_is_wanted(
    tmp_path: Path,
) -> None:
    read = [sample for found in on_ranks(tmp_path, 2, save_six) for sample in found]
    found = on_ranks(tmp_path, 1, with_others)
    assert "saved by 2 processes, and there is 1 process now" in found[0][0]
    assert sorted(read + found[0][1]) == list(range(LENGTH)), "none twice, none left out"
