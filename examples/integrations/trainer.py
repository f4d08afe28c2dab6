"""A Trainer that is killed in the middle, goes on, and ends with the same bits as one that was not.

python examples/integrations/trainer.py
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from hfl_checkpoint import EverySteps, KeepLast
from hfl_integrations.transformers import LifecycleCallback


class KillAt(TrainerCallback):
    """Ends the process without warning, as an out-of-memory killer does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, _args: object, state: TrainerState, *_: object, **__: object) -> None:
        """Kill this process at the given step."""
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def train(directory: str, kill_at: int = 0) -> torch.Tensor:
    """Train a tiny language model, or go on with it; return its parameters."""
    set_seed(1)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=32, n_positions=8, n_embd=16, n_layer=1, n_head=2)
    )
    rows = torch.randint(0, 32, (64, 8), generator=torch.Generator().manual_seed(2))
    data = [{"input_ids": row, "labels": row} for row in rows]
    callback = LifecycleCallback(
        directory, save=EverySteps(4), keep=KeepLast(2), background=kill_at == 0
    )
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            "out",
            per_device_train_batch_size=4,
            num_train_epochs=2,
            learning_rate=1e-2,
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=data,
        callbacks=[callback, KillAt(kill_at)],
    )
    trainer.train(resume_from_checkpoint=True)
    print(directory, [checkpoint.name for checkpoint in callback.manager.checkpoints()])
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
