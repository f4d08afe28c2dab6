"""Restoring onto models that were built on the meta device."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import torch
from torch import nn

from hfl_checkpoint import CheckpointManager, StateMismatchError

from .conftest import gpt2


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight
        self.norm = nn.BatchNorm1d(5)
        memory = torch.arange(12.0)
        self.register_buffer("first", memory[:8].view(2, 4))
        self.register_buffer("second", memory[4:])
        self.register_buffer("same", self.first)
        self.register_buffer("scratch", torch.ones(3), persistent=False)

    def forward(self, index: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.norm(self.head(self.embedding(index)))
        return found


def train(model: Any, optimizer: Any) -> None:
    for step in range(3):
        optimizer.zero_grad()
        model(torch.tensor([step, step + 1, 4])).square().sum().backward()
        optimizer.step()


def test_a_model_on_meta_gets_memory_shared_as_it_was(tmp_path: pathlib.Path) -> None:
    saved = Tied()
    train(saved, torch.optim.SGD(saved.parameters(), lr=0.1))
    with torch.device("meta"):
        target = Tied()
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=saved)
        report = checkpoints.restore(model=target)

    for name, value in saved.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name
    assert target.head.weight is target.embedding.weight
    assert isinstance(target.head.weight, nn.Parameter)
    assert target.head.weight.requires_grad
    target.first.fill_(7)
    assert torch.equal(target.second[:4], torch.full((4,), 7.0))
    assert target.same.data_ptr() == target.first.data_ptr()
    assert len(report.warnings) == 1
    assert "scratch" in report.warnings[0]
    assert "no checkpoint holds" in report.warnings[0]


def test_an_optimizer_of_a_model_on_meta_goes_on_with_its_parameters(
    tmp_path: pathlib.Path,
) -> None:
    saved = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    optimizer = torch.optim.AdamW(saved.parameters())
    train(saved, optimizer)
    with torch.device("meta"):
        target = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    its_optimizer = torch.optim.AdamW(target.parameters())
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(3, model=saved, optimizer=optimizer)
        assert checkpoints.restore(model=target, optimizer=its_optimizer).warnings == ()
    train(saved, optimizer)
    train(target, its_optimizer)

    for left, right in zip(saved.parameters(), target.parameters()):
        assert torch.equal(left, right)


def test_a_model_that_is_half_on_meta_keeps_the_other_half_where_it_is(
    tmp_path: pathlib.Path,
) -> None:
    saved = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    target = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
    place = target[0].weight.data_ptr()
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=saved)
        checkpoints.restore(model=target, map_location="cpu")

    assert target[0].weight.data_ptr() == place
    assert torch.equal(target[1].weight, saved[1].weight)


def test_a_failure_elsewhere_leaves_the_model_on_meta(tmp_path: pathlib.Path) -> None:
    class Refusing(nn.Linear):
        def _load_from_state_dict(self, *arguments: Any) -> None:
            raise ValueError("refused")

    target = nn.Linear(2, 2, device="meta")
    weight = target.weight
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=nn.Linear(2, 2), other=nn.Linear(2, 2))
        with pytest.raises(StateMismatchError, match="refused"):
            checkpoints.restore(model=target, other=Refusing(2, 2))

    assert target.weight is weight
    assert weight.device.type == "meta"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_transformers_model_on_meta_stays_tied(tmp_path: pathlib.Path) -> None:
    saved = gpt2()
    with torch.device("meta"):
        target = gpt2()
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=saved)
        checkpoints.restore(model=target)

    assert target.lm_head.weight.data_ptr() == target.transformer.wte.weight.data_ptr()
    for name, value in saved.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name
