"""Every form that a run takes on this disk comes back from the Hub, on an empty machine, bit for bit."""

from __future__ import annotations

import importlib.util
from typing import Any, Callable, Dict

import pytest
import torch

from hfl_checkpoint import CheckpointManager, Naming

needs_blosc2 = pytest.mark.skipif(
    importlib.util.find_spec("blosc2") is None, reason="blosc2 has no wheel for this Python"
)


def network(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(40, 30), torch.nn.ReLU(), torch.nn.Linear(30, 20))


def adapted(seed: int) -> torch.nn.Module:
    import peft

    torch.manual_seed(0)
    base = torch.nn.Sequential(torch.nn.Linear(40, 30), torch.nn.ReLU(), torch.nn.Linear(30, 20))
    torch.manual_seed(seed)
    return peft.get_peft_model(base, peft.LoraConfig(target_modules=["0", "2"], r=2))


class Training:
    """A model, its optimizer and its schedule, and what they become with further batches."""

    def __init__(self, make: Callable[[int], torch.nn.Module], seed: int) -> None:
        self.model = make(seed)
        trained = [item for item in self.model.parameters() if item.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=0.01)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2)

    @property
    def components(self) -> Dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}

    def steps(self, first: int, last: int) -> None:
        for step in range(first, last + 1):
            batch = torch.randn(8, 40, generator=torch.Generator().manual_seed(step))
            self.model(batch).square().mean().backward()
            self.optimizer.step()
            self.scheduler.step()
            self.optimizer.zero_grad()

    def numbers(self) -> Dict[str, torch.Tensor]:
        found = {f"model.{key}": value.clone() for key, value in self.model.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            found.update({f"{index}.{key}": value.clone() for key, value in state.items()})
        found["lr"] = torch.tensor(self.scheduler.get_last_lr())
        return found


FORMS = {
    "compressed": pytest.param(network, {"compression": "small"}, marks=needs_blosc2),
    "sharded": (network, {"max_shard_size": "2KB"}),
    "sharded and compressed": pytest.param(
        network, {"max_shard_size": "2KB", "compression": "fast"}, marks=needs_blosc2
    ),
    "adapter": pytest.param(adapted, {"compression": "fast"}, marks=needs_blosc2),
    "named by metrics and epochs": (
        network,
        {
            "naming": "{step:06d}-loss={metric[loss]:.3f}-e{epoch}",
            "revision": "experiments/lr=3e-4",
        },
    ),
    "named oddly": (
        network,
        {
            "naming": Naming("ü né#%20&+{step} @{x}, a.b", x="!'~(ш)💾;$"),
            "revision": "experiments/ä-b",
        },
    ),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    ("make", "options"),
    [form if hasattr(form, "marks") else pytest.param(*form) for form in FORMS.values()],
    ids=list(FORMS),
)
def test_a_run_of_any_form_goes_on_from_the_hub_with_the_same_bits(
    make, options, name, memory_path
) -> None:
    first = Training(make, 0)
    options = {"hub": name, "hub_wait": 60, "metadata": {}, **options}
    with CheckpointManager(memory_path / "here", **options) as manager:
        for step in (2, 4):
            first.steps(step - 1, step)
            manager.save(step, epoch=step, metrics={"loss": 1 / step}, **first.components)
    first.steps(5, 6)
    other = Training(make, 1)
    with CheckpointManager(memory_path / "there", **options) as manager:
        assert manager.resume(**other.components).checkpoint.step == 4
        other.steps(5, 6)
        expected = first.numbers()
        found = other.numbers()
        assert found.keys() == expected.keys()
        assert [key for key in found if not torch.equal(found[key], expected[key])] == []
        manager.save(6, epoch=6, metrics={"loss": 0.1}, **other.components)
    published = [item.name for item in manager.remote_checkpoints()]
    assert len(published) == 3
    branch = options.get("revision", "checkpoints")
    with CheckpointManager(memory_path / "elsewhere", background=False) as manager:
        for which, step in ((published[0], 2), ("best:loss", 6), (4, 4)):
            report = manager.restore(f"hf://{name}@{branch}/{which}", **other.components)
            assert report.checkpoint.step == step
