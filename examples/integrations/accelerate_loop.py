"""A loop with accelerate that is killed in the middle, goes on at the next batch, and ends with the same bits.

python examples/integrations/accelerate_loop.py
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader, TensorDataset

from hfl_checkpoint import EverySteps, KeepLast
from hfl_integrations.accelerate import AcceleratedCheckpoints


def train(directory: str, kill_at: int = 0) -> torch.Tensor:
    """Train a small network, or go on with it; return its parameters."""
    accelerator = Accelerator(cpu=True)
    set_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    loader = DataLoader(TensorDataset(torch.randn(60, 4)), batch_size=4, shuffle=True)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    with AcceleratedCheckpoints(
        accelerator, directory, save=EverySteps(4), keep=KeepLast(2), background=kill_at == 0
    ) as checkpoints:
        checkpoints.load_state()  # nothing on a fresh run
        for _epoch in range(checkpoints.epoch, 3):
            for (x,) in loader:  # the rest of the interrupted epoch, then whole ones
                accelerator.backward(model(x).square().mean())
                optimizer.step()
                optimizer.zero_grad()
                checkpoints.save_if_due()
                if checkpoints.step == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
    print(directory, [checkpoint.name for checkpoint in checkpoints.manager.checkpoints()])
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        train("runs/killed", kill_at=int(sys.argv[1]))
        sys.exit("it should have been killed")
    for step in (10, 22):
        done = subprocess.run([sys.executable, __file__, str(step)], check=False)
        print(f"killed at step {step}: exit status {done.returncode}")
        assert done.returncode == -signal.SIGKILL
    assert torch.equal(train("runs/killed"), train("runs/whole"))
    print("the same bits")
