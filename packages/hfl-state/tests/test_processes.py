"""Runs in processes of their own: killed ones, spawned workers, two ranks.

Processes are forked where possible: importing torch again would cost more than the test.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal

import pytest
import torch
import torch.distributed as dist
from torch.utils.data import DataLoader, DistributedSampler

from hfl_state import ResumableLoader, TrainingState


def in_processes(target, *arguments, count=1):
    """Run a function in forked processes and return their exit codes."""
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=in_one_thread, args=(target, rank, *arguments))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
    return [process.exitcode for process in processes]


def in_one_thread(target, *arguments):
    torch.set_num_threads(1)
    target(*arguments)


def train(_, runs, folder, kill_at=None):
    saved = folder / "state.pt"
    run = runs.run(runs.loader("shuffle"), seed=None if saved.exists() else 5)
    if saved.exists():
        run.state.load_state_dict(torch.load(saved, weights_only=True))
    while run.train(run.state.batch + 1, epochs=3):
        with (folder / "ids.jsonl").open("a") as file:
            file.write(json.dumps(run.ids[-1]) + "\n")
        torch.save(run.state.state_dict(), folder / "new.pt")
        (folder / "new.pt").replace(saved)
        if run.state.batch == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    (folder / "outcome.json").write_text(json.dumps(run.outcome()))


def test_a_run_that_is_killed_twice_ends_like_one_that_was_not(runs, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    train(0, runs, whole)  # here, so that what torch imports late is there before the forks
    for kill_at in (4, 6):  # the last batch of an epoch, then the middle of the next
        assert in_processes(train, runs, killed, kill_at) == [-signal.SIGKILL]
    assert in_processes(train, runs, killed) == [0]
    for name in ("ids.jsonl", "outcome.json"):
        assert (killed / name).read_text() == (whole / name).read_text()


def test_spawned_workers_give_the_augmentations_that_forked_ones_do(tmp_path, monkeypatch):
    (tmp_path / "importable_noise.py").write_text(
        "import random, torch\n"
        "class Noise:\n"
        "    def __len__(self):\n"
        "        return 8\n"
        "    def __getitem__(self, index):\n"
        "        return torch.rand(1) + random.random()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    dataset = importlib.import_module("importable_noise").Noise()

    def noise(method):
        loader = DataLoader(dataset, 4, num_workers=1, multiprocessing_context=method)
        return [batch.tolist() for batch in ResumableLoader(loader, seed=1)]

    assert noise("spawn") == noise("fork")


LENGTH = 24


class Noise:
    """Samples whose augmentation is drawn from the global stream."""

    def __len__(self):
        return LENGTH

    def __getitem__(self, index):
        return {"id": index, "x": torch.rand(1)}


def build_rank(kind, **options):
    torch.manual_seed(7)  # the same weights everywhere; what is drawn later differs by rank
    model = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))
    torch.manual_seed(100 + dist.get_rank() if dist.is_initialized() else 100)
    sampler = DistributedSampler(range(LENGTH), seed=1) if kind == "sharded" else None
    loader = DataLoader(Noise(), batch_size=2, sampler=sampler, shuffle=None if sampler else True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    return TrainingState(model=model, optimizer=optimizer, loader=loader, **options)


def train_rank(state, ids, until=None, epochs=3):
    for batch in state.batches(epochs=epochs):
        ids.append(batch["id"].tolist())
        state.optimizer.zero_grad()
        state.model(batch["x"]).square().mean().backward()
        for parameter in state.model.parameters():  # what DistributedDataParallel does
            dist.all_reduce(parameter.grad)
        state.optimizer.step()
        if state.step == until:
            return


def run_rank(rank, runs, folder, count):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=count
    )
    found = {}
    for kind in ("sharded", "plain"):
        whole, expected = build_rank(kind), []
        train_rank(whole, expected)
        per_epoch = len(expected) // 3
        state, ids = build_rank(kind), []
        for until in (1, per_epoch, per_epoch + 2):
            train_rank(state, ids, until)
            path = folder / f"{kind}-{until}-{rank:05}.pt"  # every rank saves its own
            torch.save(state.state_dict(), path)
            dist.barrier()
            saved, state = torch.load(path, weights_only=True), build_rank(kind)
            torch.rand(5)
            state.load_state_dict(saved)
        train_rank(state, ids)
        bits = [
            [runs.bits(each.model.state_dict()), runs.bits(each.optimizer.state_dict())]
            for each in (state, whole)
        ]
        draw = torch.rand(1).item()
        found[kind] = {"same ids": ids == expected, "same bits": bits[0] == bits[1]}
        found[kind].update(ids=expected, draw=draw, weights=bits[1][0])
        found[kind]["other rank"] = state.check({**saved, "loader": {**saved["loader"], "rank": 9}})
    dist.barrier()
    dist.destroy_process_group()
    found["one process"] = build_rank("plain").check(saved)
    (folder / f"rank{rank}.json").write_text(json.dumps(found))


@pytest.mark.parametrize("count", [2, 4])
def test_ranks_resume_their_own_shards_and_streams_to_the_bit(runs, count, tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    assert in_processes(run_rank, runs, tmp_path, count, count=count) == [0] * count
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(count)]
    for rank, found in enumerate(ranks):
        for kind in ("sharded", "plain"):
            assert found[kind]["same ids"]
            assert found[kind]["same bits"]
            assert f"loader: The rank was 9 and is {rank} now." in found[kind]["other rank"]
            assert found[kind]["weights"] == ranks[0][kind]["weights"]
        assert any(f"world size was {count} and is 1 now" in t for t in found["one process"])
    per_epoch = LENGTH // 2 // count
    first = [i for found in ranks for batch in found["sharded"]["ids"][:per_epoch] for i in batch]
    assert sorted(first) == list(range(LENGTH)), "the shards of an epoch cover it once"
    assert ranks[0]["plain"]["ids"] != ranks[1]["plain"]["ids"], "plain shuffles differ by rank"
    assert len({found["sharded"]["draw"] for found in ranks}) == count, "streams differ by rank"


def save_rank(rank, folder, count):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/first", rank=rank, world_size=count
    )
    state, ids = build_rank("sharded"), []
    train_rank(state, ids, until=2)
    torch.save([state.state_dict(), ids], folder / f"saved-{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def go_on_with_others(rank, folder, count):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/second-{count}", rank=rank, world_size=count
    )
    saved, _ = torch.load(folder / "saved-0.pt", weights_only=True)
    strict = build_rank("sharded").check(saved)
    state, ids = build_rank("sharded", on_change="override"), []
    state.load_state_dict(saved)
    draw = torch.rand(1).item()
    train_rank(state, ids, epochs=1)
    rest = list(ids)
    train_rank(state, ids, epochs=2)
    found = {"strict": strict, "rest": rest, "next": ids[len(rest) :], "draw": draw}
    (folder / f"{count}-{rank}.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


def test_another_number_of_ranks_reads_the_rest_of_the_epoch_once_if_that_is_wanted(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    assert in_processes(save_rank, tmp_path, 2, count=2) == [0, 0]
    read = [
        sample
        for rank in range(2)
        for batch in torch.load(tmp_path / f"saved-{rank}.pt", weights_only=True)[1]
        for sample in batch
    ]
    assert len(read) == 8
    for count in (1, 4):
        assert in_processes(go_on_with_others, tmp_path, count, count=count) == [0] * count
        ranks = [json.loads((tmp_path / f"{count}-{r}.json").read_text()) for r in range(count)]
        rest = [sample for found in ranks for batch in found["rest"] for sample in batch]
        assert sorted(read + rest) == list(range(LENGTH)), "none twice, none left out"
        following = [sample for found in ranks for batch in found["next"] for sample in batch]
        assert sorted(following) == list(range(LENGTH))
        assert len({found["draw"] for found in ranks}) == count
        for found in ranks:
            assert any(f"world size was 2 and is {count} now" in text for text in found["strict"])
