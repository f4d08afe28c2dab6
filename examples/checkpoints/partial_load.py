"""Load parts of a checkpoint: some components, raw states, onto the meta device, a plain average."""

import tempfile

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from hfl_checkpoint import CheckpointManager


def build() -> nn.Module:
    """Build the model; every program that restores builds the same one."""
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


model = build()
average = AveragedModel(model)
optimizer = torch.optim.AdamW(model.parameters())
for _ in range(3):
    model(torch.rand(8, 4)).square().mean().backward()
    optimizer.step()
    average.update_parameters(model)

directory = tempfile.mkdtemp()
with CheckpointManager(directory) as checkpoints:
    checkpoints.save(3, model=model, ema=average, optimizer=optimizer, counters={"seen": 24})

checkpoints = CheckpointManager(directory)

# 1. Only some components: the others are named in the report, and left alone.
target = build()
report = checkpoints.restore(model=target)
print("restored:", ", ".join(report.restored))

# 2. The raw states, mapped from the files: nothing is read before it is used.
states = checkpoints.load(only=["counters", "ema"])
print("seen:", states["counters"]["seen"], "averages:", int(states["ema"]["n_averaged"]))

# 3. The average into a plain model, for inference.
plain = build()
checkpoints.restore(ema=plain)
assert torch.equal(plain[0].weight, average.module[0].weight)

# 4. Onto a model that has no memory yet; its optimizer goes on knowing the parameters.
with torch.device("meta"):
    large = build()
    its_optimizer = torch.optim.AdamW(large.parameters())
checkpoints.restore(model=large, optimizer=its_optimizer)
assert torch.equal(large[0].weight, model[0].weight)

# 5. A part of a model into another one: a state dict is a state dict.
backbone = {key: value for key, value in checkpoints.load()["model"].items() if key[0] == "0"}
other = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
other.load_state_dict(backbone)
print("the first layer was taken over:", sorted(backbone))
