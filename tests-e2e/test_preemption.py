"""A guard and a checkpoint manager: what is saved when a run is told to end, and when it was changed."""

from __future__ import annotations

import signal
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from hfl_checkpoint import CheckpointManager, EverySteps, OnSignal, StateMismatchError
from hfl_state import PreemptionGuard, TrainingState


def build(lr: float = 0.1, **options: Any) -> TrainingState:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 4)
    loader = DataLoader(torch.rand(40, 1), batch_size=4, shuffle=True)
    return TrainingState(
        model=model, optimizer=optimizer, scheduler=scheduler, loader=loader, seed=1, **options
    )


def train(
    state: TrainingState, checkpoints: CheckpointManager, *, signal_at: int = 0, late: bool = False
) -> None:
    checkpoints.resume(state)
    for x in state.batches(steps=12):
        state.optimizer.zero_grad()
        state.model(x).square().mean().backward()
        state.optimizer.step()
        state.scheduler.step()
        if state.step == signal_at and not late:
            signal.raise_signal(signal.SIGTERM)
        checkpoints.step(state)
        if state.step == signal_at and late:
            signal.raise_signal(signal.SIGTERM)


def weights(state: TrainingState) -> Any:
    return [parameter.tolist() for parameter in state.model.parameters()]


@pytest.mark.parametrize("late", [False, True], ids=["in the step", "after its save"])
@pytest.mark.parametrize("policy", ["guard", "OnSignal"])
def test_a_run_that_is_told_to_end_saves_its_last_step_and_goes_on_to_the_same_bits(
    tmp_path, policy, late
):
    whole = build()
    train(whole, CheckpointManager(tmp_path / "whole", save=EverySteps(100)))
    last = []
    for signal_at in (3, 7, 0):
        with PreemptionGuard("SIGTERM") as guard:
            state = build(guard=guard)
            asked = guard if policy == "guard" else OnSignal("SIGTERM")
            save = EverySteps(100) | asked
            with CheckpointManager(tmp_path / "run", save=save) as checkpoints:
                train(state, checkpoints, signal_at=signal_at, late=late)
                if signal_at:
                    newest = checkpoints.latest()
                    assert newest is not None
                    saved_at = state.step
                    if policy == "OnSignal" and not late:
                        saved_at -= (
                            1  # it saves where the signal comes, and the guard ends a step later
                        )
                    assert newest.step == saved_at
                    assert "preemption" in newest.reason
        last.append(state.step)
    assert last == ([3, 7, 12] if policy == "guard" and not late else [4, 8, 12])
    assert weights(state) == weights(whole)


def test_a_manager_refuses_other_settings_and_restores_them_as_the_state_wants(tmp_path):
    with CheckpointManager(tmp_path, save=EverySteps(6)) as checkpoints:
        train(build(), checkpoints)
    with CheckpointManager(tmp_path) as checkpoints:
        with pytest.raises(StateMismatchError, match="lr of 'optimizer' was 0.1 and is 0.3 now"):
            checkpoints.resume(build(lr=0.3))
        for on_change, lr in (("keep", 0.1), ("override", 0.3)):
            state = build(lr=0.3, on_change=on_change)
            checkpoints.resume(state)
            assert state.step == 12
            assert state.optimizer.param_groups[0]["lr"] == pytest.approx(lr * 0.1**3)
