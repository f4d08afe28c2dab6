"""Fine-tune the head of a frozen model: the backbone is written once, and shared by every checkpoint.

    python examples/checkpoints/frozen_backbone.py

Parameters with ``requires_grad=False`` lie in a file of their own. A file whose content did not change is
not written again: the next checkpoint gets a clone or a second name of it. Each checkpoint is whole
all the same; any of them can be copied, deleted or loaded alone.
"""

from __future__ import annotations

import torch
from torch import nn

from hfl_checkpoint import CheckpointManager, KeepLast

torch.manual_seed(0)
backbone = nn.Sequential(*(nn.Linear(512, 512) for _ in range(8))).requires_grad_(False)
model = nn.Sequential(backbone, nn.Linear(512, 10))
optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)

with CheckpointManager("runs/frozen", keep=KeepLast(3)) as checkpoints:
    for step in range(1, 6):
        loss = model(torch.randn(32, 512)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        checkpoints.save(step, metrics={"loss": loss}, model=model, optimizer=optimizer)

found = checkpoints.checkpoints()
for checkpoint in found:
    print(
        f"{checkpoint.name}: {checkpoint.size / 1e6:.1f} MB, "
        f"of which {checkpoint.unique_size / 1e6:.2f} MB are its own"
    )

frozen = "model-00001-of-00002.safetensors"
assert (found[0].path / frozen).samefile(found[-1].path / frozen)
assert found[-1].unique_size < 0.05 * found[-1].size

# Content decides, not a promise: a frozen weight that changes all the same is written.
with CheckpointManager("runs/frozen") as checkpoints:
    checkpoints.resume(model=model, optimizer=optimizer)
    backbone[0].weight.data[0, 0] += 1
    changed = checkpoints.save(6, model=model, optimizer=optimizer).result()
    loaded = checkpoints.load(6)["model"]["0.0.weight"]
assert not (found[-1].path / frozen).samefile(changed.path / frozen)
assert torch.equal(loaded, backbone[0].weight)
print(f"{changed.name}: the backbone changed, so it was written again")
