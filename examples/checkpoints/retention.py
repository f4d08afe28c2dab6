"""Keep the newest for going on, the best for publishing, and one in ten for looking back.

python examples/checkpoints/retention.py
"""

from __future__ import annotations

import torch

from hfl_checkpoint import CheckpointManager, KeepBest, KeepEvery, KeepLast

torch.manual_seed(0)
model = torch.nn.Linear(8, 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
target = torch.randn(8)

keep = KeepLast(2) | KeepBest("loss", n=1) | KeepEvery(steps=10)
with CheckpointManager("runs/retention", keep=keep) as checkpoints:
    for step in range(1, 26):
        batch = torch.randn(32, 8)
        loss = (model(batch).squeeze(1) - batch @ target).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        checkpoints.save(step, metrics={"loss": loss}, model=model, optimizer=optimizer)
        if step == 3:
            checkpoints.pin(3, label="early")  # stays, whatever the policies say

    checkpoints.wait()  # the last one is written in the background
    found = checkpoints.checkpoints()
    best = checkpoints.best("loss")
    for item in found:
        print(item.name, f"loss {item.metrics['loss']:.4f}", *item.labels)

    # What would be deleted if less were kept, and what each policy says about it.
    lean = CheckpointManager("runs/retention", keep="last:1 | best:loss")
    for decision in lean.clean(dry_run=True).delete:
        print("would go:", decision.checkpoint.name, "--", "; ".join(map(str, decision.votes)))

assert best is not None
assert {item.step for item in found} == {3, 10, 20, 24, 25, best.step}
