"""Models whose tensors are empty or missing are refused at save, by name."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import torch
from torch import nn

from hfl_checkpoint import CheckpointManager, IncompleteModelError

from .conftest import gpt2


def emptied(module: nn.Module, *names: str, mark: bool = False) -> nn.Module:
    """Leave a module as ZeRO-3 does: with empty parameters."""
    for name, parameter in module.named_parameters():
        if name in names:
            if mark:
                parameter.ds_shape = parameter.shape
            parameter.data = torch.empty(0)
    return module


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))


class Hooked(nn.Module):
    """Leaves a parameter out of its state, or empties it there."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.first, self.second, self.how = nn.Linear(2, 2), nn.Linear(2, 2), how

    def state_dict(self, *arguments: Any, **options: Any) -> Any:
        state = super().state_dict(*arguments, **options)
        if self.how == "left out":
            del state["second.weight"]
        else:
            state["second.weight"] = torch.empty(0)
        return state


CASES = {
    "linear": (
        lambda: emptied(nn.Linear(2, 3), "weight"),
        r"weight has shape \[0\] instead of \[3, 2\]",
    ),
    "bias": (lambda: emptied(nn.Linear(2, 3), "bias"), r"bias has shape \[0\] instead of \[3\]"),
    "embedding": (lambda: emptied(nn.Embedding(4, 2), "weight"), r"instead of \[4, 2\]"),
    "norms": (
        lambda: emptied(nn.Sequential(nn.LayerNorm(3), nn.BatchNorm1d(2)), "0.weight", "1.bias"),
        r"0\.weight .* \[3\]; 1\.bias .* \[2\]",
    ),
    "convolution": (lambda: emptied(nn.Conv2d(4, 2, 3, groups=2), "weight"), r"\[2, 2, 3, 3\]"),
    "DeepSpeed's mark": (lambda: emptied(Own(), "scale", mark=True), r"scale .* instead of \[3\]"),
    "wrapped": (
        lambda: nn.DataParallel(emptied(nn.Sequential(nn.Linear(2, 3)), "0.weight")),
        r": 0\.weight has shape",
    ),
    "left out": (lambda: Hooked("left out"), r"second\.weight is missing"),
    "emptied in the state": (lambda: Hooked("emptied"), r"second\.weight has shape \[0\]"),
    "from the configuration": (
        lambda: emptied(gpt2(), "transformer.h.0.attn.c_attn.weight"),
        r"c_attn\.weight has shape \[0\] instead of \[4, 12\]",
    ),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("case", CASES)
def test_what_is_not_there_is_named_and_nothing_is_written(
    tmp_path: pathlib.Path, case: str
) -> None:
    build, message = CASES[case]

    with pytest.raises(IncompleteModelError, match=message):
        CheckpointManager(tmp_path).save(1, model=build())

    assert not any(tmp_path.iterdir())


def test_many_missing_tensors_are_counted(tmp_path: pathlib.Path) -> None:
    layers = [emptied(nn.Linear(2, 2), "weight") for _ in range(12)]

    with pytest.raises(IncompleteModelError, match="and 4 more"):
        CheckpointManager(tmp_path).save(1, model=nn.Sequential(*layers))


class Marker(nn.Module):
    """An empty parameter on purpose: many models keep one to know their device."""

    def __init__(self) -> None:
        super().__init__()
        self.marker = nn.Parameter(torch.empty(0))


class Partial(Hooked):
    _keys_to_ignore_on_save = [r"second\.weight"]


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    "build",
    [
        Marker,
        lambda: nn.Linear(0, 3),
        lambda: nn.LazyLinear(2),
        lambda: nn.Linear(2, 0),
        lambda: Partial("left out"),
    ],
    ids=["marker", "no inputs", "lazy", "no outputs", "left out on purpose"],
)
def test_what_is_empty_or_left_out_on_purpose_is_saved(tmp_path: pathlib.Path, build: Any) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        if isinstance(build(), nn.LazyLinear):
            with pytest.raises(Exception, match="lazily|subclass|UninitializedParameter"):
                checkpoints.save(1, model=build())
        else:
            checkpoints.save(1, model=build())
            checkpoints.restore(model=build())
