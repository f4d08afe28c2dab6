"""Compress the optimizer, and leave the model as it is, so that other tools can load it.

    pip install 'hfl-checkpoint[compression]'      # Python 3.9 and newer
    python examples/checkpoints/compression.py

"fast" sorts bits and packs them with LZ4, "small" sorts bytes and packs them with zstd. Both are exact.
"""

from __future__ import annotations

import torch
from safetensors.torch import load_file
from torch import nn

from hfl_checkpoint import CheckpointManager
from hfl_core import MissingExtraError

torch.manual_seed(0)


def build() -> tuple[nn.Module, torch.optim.Optimizer]:
    """Make a model and its optimizer, as a new process would."""
    model = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256)).bfloat16()
    return model, torch.optim.AdamW(model.parameters())


def train(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    """Take one step on data of its own."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(64, 256, generator=generator).bfloat16()
    model(inputs).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def main() -> None:
    """Save at each level, and go on from the smallest."""
    model, optimizer = build()
    for seed in range(3):
        train(model, optimizer, seed)
    sizes = {}
    for level in (None, "fast", "small"):
        directory = f"runs/{level}"
        with CheckpointManager(directory, compression={"optimizer": level}) as checkpoints:
            found = checkpoints.save(3, model=model, optimizer=optimizer).result()
        sizes[level] = found.size
        print(f"compression of the optimizer: {level!s:5}  {found.size / 1e6:.2f} MB")
        assert load_file(found.path / "model.safetensors").keys() == model.state_dict().keys()
    assert sizes["small"] < sizes["fast"] < sizes[None]

    other, again = build()
    CheckpointManager("runs/small").resume(model=other, optimizer=again)
    train(model, optimizer, 3)
    train(other, again, 3)
    assert all(map(torch.equal, model.parameters(), other.parameters()))
    print("Resumed from the smallest one: the same bits.")


try:
    main()
except MissingExtraError as error:
    print(f"Nothing to show here. {error}")
