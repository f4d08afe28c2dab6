"""A run that is killed and resumed, twice, ends with the same bits as one that never stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest

TRAIN = """
    import json
    import os
    import signal
    import sys

    import torch
    import torch._dynamo  # optimizers import it, which takes seconds; here it is shared by all processes
    from torch.utils.data import DataLoader, TensorDataset

    from hfl_checkpoint import CheckpointManager, EverySteps, KeepBest, KeepLast
    from hfl_state import TrainingState


    class Fp32Adam(torch.optim.Optimizer):
        '''Keeps fp32 moments and master weights of bf16 parameters.'''

        def __init__(self, parameters, lr):
            super().__init__(parameters, {"lr": lr})

        @torch.no_grad()
        def step(self):
            for group in self.param_groups:
                for parameter in group["params"]:
                    state = self.state[parameter]
                    if not state:
                        state["step"] = 0
                        state["master"] = parameter.detach().to(torch.float32)
                        state["exp_avg"] = torch.zeros_like(state["master"])
                        state["exp_avg_sq"] = torch.zeros_like(state["master"])
                    gradient = parameter.grad.to(torch.float32)
                    state["step"] += 1
                    state["exp_avg"].lerp_(gradient, 0.1)
                    state["exp_avg_sq"].mul_(0.99).addcmul_(gradient, gradient, value=0.01)
                    update = state["exp_avg"] / (state["exp_avg_sq"].sqrt() + 1e-6)
                    state["master"].add_(update, alpha=-group["lr"])
                    parameter.copy_(state["master"])


    def main(directory, kill_at, steps, workers, accumulate, dtype):
        torch.set_num_threads(1)
        torch.manual_seed(3)
        dtype = getattr(torch, dtype)
        model = torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1)
        ).to(dtype)
        adam = Fp32Adam if dtype == torch.bfloat16 else torch.optim.AdamW
        optimizer = adam(model.parameters(), lr=0.01)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 0.1, total_steps=steps + 1, cycle_momentum=False
        )
        data = TensorDataset(torch.rand(24, 4).to(dtype), torch.rand(24, 1).to(dtype))
        loader = DataLoader(data, batch_size=4, shuffle=True, num_workers=workers)
        state = TrainingState(
            model=model, optimizer=optimizer, scheduler=scheduler, loader=loader, seed=7
        )
        with CheckpointManager(
            directory, save=EverySteps(2), keep=KeepLast(2) | KeepBest("loss")
        ) as checkpoints:
            report = checkpoints.resume(state)
            print("resumed", report.checkpoint.step if report else 0, "epoch", state.epoch, flush=True)
            for inputs, targets in state.batches(steps=steps, accumulate=accumulate):
                loss = (model(inputs) - targets).square().mean()
                loss.backward()
                if not state.is_step_boundary:
                    continue
                optimizer.step()
                optimizer.zero_grad()
                scheduler.step()
                state.update_best("loss", loss)
                checkpoints.step(state, loss=loss)
                if state.step == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)


    def in_process(output, *arguments):
        '''Train in a process of its own; return how it ended, negative for a signal.'''
        pid = os.fork()
        if pid == 0:
            file = os.open(output, os.O_WRONLY | os.O_CREAT)
            os.dup2(file, 1)
            os.dup2(file, 2)
            code = 1
            try:
                main(*arguments)
                code = 0
            finally:
                sys.stdout.flush()
                if code:
                    sys.excepthook(*sys.exc_info())
                os._exit(code)
        status = os.waitpid(pid, 0)[1]
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


    if __name__ == "__main__":
        print(json.dumps([in_process(*job) for job in json.loads(sys.argv[1])]))
"""

# Six batches are an epoch. The last kill is followed by the rest of its epoch and a whole one.
CASES = {
    "fp32-accumulating": (20, ((5, 7), (9, 12)), (0, 3, "float32")),
    "bf16-workers": (26, ((5, 8), (11, 13)), (2, 1, "bfloat16")),
}


def kills_of(case: str) -> List[int]:
    dice = random.Random(case)
    return [dice.randint(*window) for window in CASES[case][1]]


def train(script: Path, jobs: Sequence[Sequence[Any]]) -> None:
    """Run each job in a process of its own, forked from one that has imported torch."""
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(jobs)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for (output, _, kill_at, *_), code in zip(jobs, json.loads(done.stdout)):
        text = Path(output).read_text()
        assert code == (-signal.SIGKILL if kill_at else 0), text
        assert "Warning" not in text


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The uninterrupted runs, and those that were killed, which hash their texts otherwise."""
    root: Path = tmp_path_factory.mktemp("runs")
    script = root / "train.py"
    script.write_text(textwrap.dedent(TRAIN))
    jobs: Dict[str, List[List[Any]]] = {"whole": [], "killed": []}
    for case, (steps, _, options) in CASES.items():
        for kind, kills in (("whole", [0]), ("killed", [*kills_of(case), 0])):
            for kill_at in kills:
                name = str(root / f"{case}-{kind}")
                jobs[kind].append([f"{name}-{kill_at}.txt", name, kill_at, steps, *options])
    for each in jobs.values():
        train(script, each)
    return root


def digests(checkpoint: Path) -> Dict[str, str]:
    """Path to digest of all that belongs to the state; not of the facts about the process."""
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    return {
        file["path"]: file["xxh3-128"]
        for file in manifest["files"]
        if file["path"] not in ("metadata.json", "state/clock.json")
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no SIGKILL")
@pytest.mark.parametrize("case", CASES)
def test_a_run_killed_twice_ends_with_the_bits_of_the_uninterrupted_one(
    runs: Path, case: str
) -> None:
    steps, _, options = CASES[case]
    kills = kills_of(case)
    starts = []
    for kill_at in [*kills, 0]:
        said = (runs / f"{case}-killed-{kill_at}.txt").read_text().splitlines()
        (resumed,) = (line for line in said if line.startswith("resumed"))  # beside it, a busy disk
        _, start, _, epoch = resumed.split()
        starts.append((int(start), int(epoch)))

    # Every process went on from a checkpoint: the one before the last save had to be there.
    assert starts[0] == (0, 0)
    for (start, _), kill_at in zip(starts[1:], kills):
        assert kill_at - 4 < start <= kill_at
    name = f"step-{steps:08d}"
    progress = json.loads((runs / f"{case}-killed" / name / "state/progress.json").read_text())
    assert progress["state"]["epoch"] >= starts[-1][1] + 2
    whole, killed = digests(runs / f"{case}-whole" / name), digests(runs / f"{case}-killed" / name)
    assert set(whole) >= {
        "model.safetensors",
        "state/optimizer.safetensors",
        "state/scheduler.json",
        "state/loader-00000.json",
        "state/progress.json",
        "state/rng-00000.json",
    }
    assert {path: killed.get(path) for path in whole} == whole
    assert set(killed) == set(whole)
    if options[-1] == "bfloat16":
        assert_fp32_moments(runs / f"{case}-killed" / name)


def assert_fp32_moments(checkpoint: Path) -> None:
    from safetensors.torch import load_file

    moments = load_file(str(checkpoint / "state/optimizer.safetensors"))
    weights = load_file(str(checkpoint / "model.safetensors"))
    assert {str(value.dtype) for value in moments.values()} == {"torch.float32"}
    assert str(weights["0.weight"].dtype) == "torch.bfloat16"
