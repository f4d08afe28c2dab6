"""Runs in processes of their own: killed ones, spawned workers, two ranks.

Processes are forked where possible: importing torch again would cost more than the test.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal

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


def build_rank(sharded):
    sampler = DistributedSampler(range(16), seed=1) if sharded else None
    loader = DataLoader(range(16), batch_size=2, sampler=sampler, shuffle=None if sharded else True)
    return TrainingState(model=torch.nn.Linear(1, 1), loader=loader, seed=2)


def run_rank(rank, folder):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    found = {}
    for name in ("sharded", "plain"):
        whole = [batch.tolist() for batch in build_rank(name == "sharded").batches(epochs=3)]
        state, ids = build_rank(name == "sharded"), []
        for at in (2, 5):
            for batch in state.batches(epochs=3):
                ids.append(batch.tolist())
                if state.step == at:
                    break
            saved, state = state.state_dict(), build_rank(name == "sharded")
            state.load_state_dict(saved)
        ids += [batch.tolist() for batch in state.batches(epochs=3)]
        found[name] = {"is_exact": ids == whole, "ids": whole}
    found["other rank"] = state.check({**saved, "loader": {**saved["loader"], "rank": 1 - rank}})
    dist.barrier()
    dist.destroy_process_group()
    found["one process"] = state.check(saved)
    (folder / f"rank{rank}.json").write_text(json.dumps(found))


def test_two_ranks_resume_their_own_shards_and_refuse_another_world_size(tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    assert in_processes(run_rank, tmp_path, count=2) == [0, 0]
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2)]
    for rank, found in enumerate(ranks):
        assert found["sharded"]["is_exact"]
        assert found["plain"]["is_exact"]
        assert f"loader: The rank was {1 - rank} and is {rank} now." in found["other rank"]
        assert any("world size was 2 and is 1 now" in text for text in found["one process"])
    first_epoch = [i for found in ranks for batch in found["sharded"]["ids"][:4] for i in batch]
    assert sorted(first_epoch) == list(range(16)), "the shards of an epoch cover it once"
    assert ranks[0]["plain"]["ids"] != ranks[1]["plain"]["ids"], "plain shuffles differ by rank"
