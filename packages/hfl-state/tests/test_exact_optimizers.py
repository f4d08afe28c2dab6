"""Whatever optimizes and schedules, two resumes end with the bits of the uninterrupted run."""

from __future__ import annotations

import pytest
import torch
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from hfl_state import TrainingState

# SequentialLR of torch 2.4 calls what torch 2.4 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:The epoch parameter in:UserWarning")
STEPS = 14  # of 4 to an epoch
SAVES = (3, 8)  # in the middle of one, and after the last batch of another


class Fp32Adam(torch.optim.Optimizer):
    """Moments and master weights in fp32, of parameters in bf16."""

    def __init__(self, parameters, lr=0.01):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                state, gradient = self.state[parameter], parameter.grad.float()
                if not state:
                    state["master"] = parameter.detach().float()
                    state["exp_avg"] = torch.zeros_like(gradient)
                    state["exp_avg_sq"] = torch.zeros_like(gradient)
                state["exp_avg"].lerp_(gradient, 0.1)
                state["exp_avg_sq"].mul_(0.99).addcmul_(gradient, gradient, value=0.01)
                update = state["exp_avg"] / (state["exp_avg_sq"].sqrt() + 1e-6)
                state["master"].add_(update, alpha=-group["lr"])
                parameter.copy_(state["master"])


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "adamw foreach": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=True),
    "adamw fused": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
    "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=3, history_size=4),
    "bf16 with fp32 moments": Fp32Adam,
}


def warm_up(step):
    return min(1.0, (step + 1) / 5)


def sequential(optimizer):
    first = lr_scheduler.LinearLR(optimizer, 0.1, total_iters=4)
    second = lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)
    return lr_scheduler.SequentialLR(optimizer, [first, second], milestones=[5])


SCHEDULES = {
    "none": lambda _: None,
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1, factor=0.7),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(
        o, max_lr=0.05, total_steps=STEPS + 1, cycle_momentum="momentum" in o.defaults
    ),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, warm_up),
    "sequential": sequential,
}


class Training:
    def __init__(self, optimizer, schedule, scaled=False):
        torch.manual_seed(1)
        dtype = torch.bfloat16 if optimizer.startswith("bf16") else torch.float32
        self.model = torch.nn.Sequential(
            torch.nn.Linear(3, 4), torch.nn.Dropout(0.3), torch.nn.Linear(4, 1)
        ).to(dtype)
        data = TensorDataset(torch.linspace(0, 1, 36).reshape(12, 3).to(dtype))
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.scheduler = SCHEDULES[schedule](self.optimizer)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)
        self.is_scaled = scaled
        self.state = TrainingState(
            model=self.model,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            scaler=self.scaler if scaled else None,
            loader=DataLoader(data, batch_size=3, shuffle=True),
            seed=2,
        )

    def train(self, until=STEPS):
        for (x,) in self.state.batches(steps=until):

            def closure(x=x):
                self.optimizer.zero_grad()
                loss = self.model(x).square().mean()
                (self.scaler.scale(loss) if self.is_scaled else loss).backward()
                return loss

            if self.is_scaled:
                loss = closure()
                if self.state.step % 5 == 0:  # an overflow: the step is skipped, the scale halved
                    next(self.model.parameters()).grad.fill_(float("inf"))
                self.scaler.step(self.optimizer)
                self.scaler.update()
            elif isinstance(self.optimizer, torch.optim.LBFGS):
                loss = self.optimizer.step(closure)
            else:
                loss = closure()
                self.optimizer.step()
            if isinstance(self.scheduler, lr_scheduler.ReduceLROnPlateau):
                self.scheduler.step(loss.detach())
            elif self.scheduler is not None:
                self.scheduler.step()

    def outcome(self, runs):
        parts = (self.model, self.optimizer, self.scheduler, self.scaler)
        states = [runs.bits(part.state_dict()) for part in parts if part is not None]
        return states, self.state.step, self.state.epoch, torch.get_rng_state().tolist()


def check(runs, *kind):
    whole = Training(*kind)
    whole.train()
    expected = whole.outcome(runs)
    training = Training(*kind)
    for at in SAVES:
        training.train(at)
        saved = runs.through_bytes(training.state.state_dict())
        training = Training(*kind)
        torch.rand(3)  # a new process stands somewhere else
        training.state.load_state_dict(saved)
    training.train()
    assert training.outcome(runs) == expected


@pytest.mark.parametrize("schedule", list(SCHEDULES))
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_two_resumes_are_exact(runs, optimizer, schedule):
    check(runs, optimizer, schedule)


@pytest.mark.parametrize("schedule", ["none", "one cycle"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_two_resumes_with_a_gradient_scaler_are_exact(runs, optimizer, schedule):
    check(runs, optimizer, schedule, True)


def test_a_scaler_of_a_used_process_is_put_back_after_the_optimizer(runs):
    first = Training("sgd", "none", True)
    first.train(4)
    saved = runs.through_bytes(first.state.state_dict())
    first.train(12)
    assert first.scaler.state_dict() != saved["scaler"]
    first.state.load_state_dict(saved)
    assert first.scaler.state_dict() == saved["scaler"]
    assert runs.bits(first.optimizer.state_dict()) == runs.bits(saved["optimizer"])
