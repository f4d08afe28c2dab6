"""Snapshots that are copied while the training goes on hold what an eager copy would hold, or fail."""

from __future__ import annotations

import copy
import threading
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
import torch
from torch import nn

from hfl_checkpoint import CheckpointManager, EverySteps, _snapshot
from hfl_checkpoint._arena import Arena
from hfl_checkpoint._components import capture
from hfl_checkpoint._lazy import Deferrable
from hfl_checkpoint._snapshot import Snapshot
from hfl_checkpoint._writer import pack_all
from hfl_checkpoint.errors import SnapshotChangedError

WIDTH = 260  # a weight has 264 KiB: large enough to be copied late

Change = Callable[["Training"], None]


class Training:
    """A model with large and small parameters, buffers and a frozen part, and its optimizer."""

    def __init__(self, build: Callable[[List[nn.Parameter]], torch.optim.Optimizer]) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(
            nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.Linear(WIDTH, WIDTH)
        )
        self.model.register_buffer("large_buffer", torch.zeros(WIDTH, WIDTH))
        self.frozen = nn.Linear(WIDTH, WIDTH).requires_grad_(False)
        self.optimizer = build(list(self.model.parameters()))
        self.x = torch.randn(8, WIDTH)

    @property
    def components(self) -> Dict[str, Any]:
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "frozen": self.frozen,
            "more": {"alias": self.model[0].weight},
        }

    def loss(self) -> torch.Tensor:
        self.optimizer.zero_grad()
        self.model.large_buffer += 1
        loss = self.model(self.x).square().mean()
        loss.backward()
        return loss

    def step(self) -> None:
        self.optimizer.step(self.loss)

    def copied(self) -> Dict[str, Any]:
        return copy.deepcopy(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "frozen": self.frozen.state_dict(),
                "more": {"alias": self.model[0].weight.detach()},
            }
        )


def adamw(parameters: List[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters)


OPTIMIZERS: Dict[str, Callable[[List[nn.Parameter]], torch.optim.Optimizer]] = {
    "adamw": adamw,
    "amsgrad": lambda p: torch.optim.AdamW(p, amsgrad=True, foreach=True),
    "fused": lambda p: torch.optim.AdamW(p, fused=True),
    "one_by_one": lambda p: torch.optim.AdamW(p, foreach=False),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=2, history_size=2),
    "groups": lambda p: torch.optim.RMSprop([{"params": p[:2]}, {"params": p[2:], "lr": 0.1}]),
}


def require_same(found: Any, expected: Any) -> None:
    if isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        assert found.numpy().tobytes() == expected.numpy().tobytes()
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            require_same(found[key], value)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            require_same(one, other)
    else:
        assert found == expected


def take(components: Dict[str, Any], *, lazy: bool = True) -> Snapshot:
    """A snapshot that no thread copies: only what has to wait for it does."""
    deferrable = Deferrable(components if lazy else {})
    return Snapshot.take(Arena(), pack_all(capture(components)), deferrable)


def content(snapshot: Snapshot) -> Dict[Tuple[str, str], bytes]:
    return {
        (component, key): tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        for component, packed in snapshot.packed.items()
        for key, tensor in packed.stored.items()
    }


def late(snapshot: Snapshot) -> List[str]:
    return sorted({f"{item.place[0]}:{item.place[1]}" for item in snapshot._late})


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Keep the thread beside the training from copying until the event is set."""
    event = threading.Event()
    copy_beside = _snapshot._copy_beside

    def wait_and_copy(target: torch.Tensor, source: torch.Tensor) -> None:
        assert event.wait(60)
        copy_beside(target, source)

    monkeypatch.setattr(_snapshot, "_copy_beside", wait_and_copy)
    yield event
    event.set()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_next_step_waits_until_the_state_before_it_is_copied(name: str) -> None:
    training = Training(OPTIMIZERS[name])
    training.step()
    expected = content(take(training.components, lazy=False))
    snapshot = take(training.components)
    assert "model:0.weight" in late(snapshot)
    training.step()
    training.step()
    snapshot.finish()
    assert content(snapshot) == expected


def test_the_backward_pass_alone_does_not_wait() -> None:
    training = Training(adamw)
    training.step()
    snapshot = take(training.components)
    training.loss()
    assert snapshot._left == len(snapshot._pieces) > 0
    snapshot.finish()


def test_what_a_forward_pass_or_a_person_may_change_is_copied_at_once() -> None:
    training = Training(adamw)
    training.step()
    assert late(take(training.components)) == [
        "model:0.weight",
        "model:2.weight",
        "optimizer:state/0.weight/exp_avg",
        "optimizer:state/0.weight/exp_avg_sq",
        "optimizer:state/2.weight/exp_avg",
        "optimizer:state/2.weight/exp_avg_sq",
    ]


class ItsOwn(torch.optim.Optimizer):
    """An optimizer that leaves out torch's constructor, and with it the hooks."""

    def __init__(self, parameters: List[nn.Parameter]) -> None:
        self.param_groups = [{"params": parameters}]
        self.state = {}
        self.defaults = {}

    def state_dict(self) -> Dict[str, Any]:
        return {"state": {}, "param_groups": [{"params": [0]}]}

    def step(self, closure: Any = None) -> None:
        for parameter in self.param_groups[0]["params"]:
            parameter.data.add_(1)


class Wrapper(ItsOwn):
    """An optimizer around another one, as accelerate has it."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    param_groups = property(lambda self: self.optimizer.param_groups)
    state = property(lambda self: self.optimizer.state)

    def state_dict(self) -> Dict[str, Any]:
        return self.optimizer.state_dict()

    def step(self, closure: Any = None) -> None:
        self.optimizer.step()


def parameter_alone() -> Dict[str, Any]:
    return {"model": nn.Linear(WIDTH, WIDTH)}


def optimizer_without_hooks() -> Dict[str, Any]:
    model = nn.Linear(WIDTH, WIDTH, bias=False)
    return {"model": model, "optimizer": ItsOwn([model.weight])}


def renormalised_embedding() -> Dict[str, Any]:
    model = nn.Embedding(WIDTH, WIDTH, max_norm=1.0)
    return {"model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=1.0)}


def shared_with_other_processes() -> Dict[str, Any]:
    model = nn.Linear(WIDTH, WIDTH)
    model.share_memory()
    return {"model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=1.0)}


def frozen_and_in_the_optimizer() -> Dict[str, Any]:
    model = nn.Linear(WIDTH, WIDTH).requires_grad_(False)
    return {"model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=1.0)}


def half_of_a_tensor() -> Dict[str, Any]:
    model = nn.Module()
    model.weight = nn.Parameter(torch.zeros(WIDTH, 2 * WIDTH)[:, :WIDTH])
    return {"model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=1.0)}


@pytest.mark.parametrize(
    "build",
    [
        parameter_alone,
        optimizer_without_hooks,
        renormalised_embedding,
        shared_with_other_processes,
        frozen_and_in_the_optimizer,
        half_of_a_tensor,
    ],
)
def test_where_nothing_is_known_of_the_changes_all_is_copied_at_once(
    build: Callable[[], Dict[str, Any]],
) -> None:
    components = build()
    expected = content(take(components, lazy=False))
    snapshot = take(components)
    assert late(snapshot) == []
    for parameter in components["model"].parameters():
        parameter.data.add_(1)
    snapshot.finish()
    assert content(snapshot) == expected


def test_a_wrapper_around_an_optimizer_with_hooks_waits_as_well() -> None:
    model = nn.Linear(WIDTH, WIDTH)
    wrapper = Wrapper(torch.optim.AdamW(model.parameters()))
    components = {"model": model, "optimizer": wrapper}
    model(torch.ones(1, WIDTH)).sum().backward()
    expected = content(take(components, lazy=False))
    snapshot = take(components)
    assert late(snapshot) == ["model:weight"]
    wrapper.step()
    snapshot.finish()
    assert content(snapshot) == expected


def test_an_optimizer_that_is_not_saved_waits_as_well() -> None:
    training = Training(adamw)
    other = torch.optim.SGD(training.model.parameters(), lr=1.0)
    training.loss()
    expected = content(take(training.components, lazy=False))
    snapshot = take(training.components)
    other.step()
    snapshot.finish()
    assert content(snapshot) == expected


def test_optimizers_within_the_backward_pass_wait_as_well() -> None:
    # https://docs.pytorch.org/tutorials/intermediate/optimizer_step_in_backward_tutorial.html
    model = nn.Linear(WIDTH, WIDTH, bias=False)
    optimizer = torch.optim.AdamW(model.parameters())
    model.weight.register_post_accumulate_grad_hook(lambda _: optimizer.step())
    components = {"model": model, "optimizer": optimizer}
    model(torch.ones(1, WIDTH)).sum().backward()
    expected = content(take(components, lazy=False))
    snapshot = take(components)
    assert len(late(snapshot)) == 3
    model(torch.ones(1, WIDTH)).sum().backward()
    snapshot.finish()
    assert content(snapshot) == expected


@pytest.mark.filterwarnings("ignore:Guards may run slower:RuntimeWarning")  # on Python 3.13.0
def test_a_compiled_step_waits_as_well() -> None:
    training = Training(adamw)
    step = torch.compile(training.optimizer.step, backend="eager")
    training.loss()
    step()
    for _ in range(2):
        expected = content(take(training.components, lazy=False))
        snapshot = take(training.components)
        step()
        snapshot.finish()
        assert content(snapshot) == expected


def fill(training: Training) -> None:
    with torch.no_grad():
        training.model[0].weight.fill_(1.0)


def one_element(training: Training) -> None:
    with torch.no_grad():
        training.model[2].weight[3, 5] = 1.0


def behind_torch(training: Training) -> None:
    training.model[0].weight.data.mul_(2)


def through_numpy(training: Training) -> None:
    training.model[0].weight.detach().numpy()[:] = 0.5


def load_other_weights(training: Training) -> None:
    training.model.load_state_dict(Training(adamw).model.state_dict())


def reset_the_moments(training: Training) -> None:
    training.optimizer.state[training.model[0].weight]["exp_avg"].zero_()


def average_into_the_model(training: Training) -> None:
    torch.nn.utils.vector_to_parameters(
        torch.zeros(sum(p.numel() for p in training.model.parameters())),
        training.model.parameters(),
    )


@pytest.mark.parametrize(
    "change",
    [
        fill,
        one_element,
        behind_torch,
        through_numpy,
        load_other_weights,
        reset_the_moments,
    ],
)
def test_a_change_by_other_means_fails_the_save(change: Change) -> None:
    training = Training(adamw)
    training.step()
    with torch.no_grad():
        training.model[0].weight.add_(1)  # before the snapshot: that is no change
    snapshot = take(training.components)
    change(training)
    with pytest.raises(SnapshotChangedError, match="changed after the call that saves") as caught:
        snapshot.finish()
    assert "snapshot='eager'" in str(caught.value.hint)
    assert all("weight" in name for name in caught.value.tensors)


def test_a_change_that_was_taken_back_is_seen_as_well() -> None:
    # As an evaluation with averaged weights does it: swap, evaluate, swap back.
    training = Training(adamw)
    snapshot = take(training.components)
    own = training.model[0].weight.data.clone()
    training.model[0].weight.data.copy_(torch.ones(WIDTH, WIDTH))
    snapshot.help()
    training.model[0].weight.data.copy_(own)
    with pytest.raises(SnapshotChangedError):
        snapshot.finish()


def test_parameters_that_get_other_memory_are_saved_as_they_were() -> None:
    training = Training(adamw)
    expected = content(take(training.components, lazy=False))
    snapshot = take(training.components)
    average_into_the_model(training)
    snapshot.finish()
    assert content(snapshot) == expected


def test_a_change_after_the_copy_is_none() -> None:
    training = Training(adamw)
    expected = content(take(training.components, lazy=False))
    snapshot = take(training.components)
    snapshot.help()
    fill(training)
    behind_torch(training)
    snapshot.finish()
    assert content(snapshot) == expected


def test_nan_and_negative_zero_are_no_changes() -> None:
    training = Training(adamw)
    with torch.no_grad():
        training.model[0].weight.fill_(float("nan"))
        training.model[2].weight.fill_(-0.0)
    snapshot = take(training.components)
    snapshot.finish()
    saved = snapshot.packed["model"].stored
    assert saved["0.weight"].isnan().all()
    assert torch.signbit(saved["2.weight"]).all()


def test_tied_and_transposed_parameters_are_saved_once_and_right() -> None:
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH))
    model[1].weight = model[0].weight
    model.turned = nn.Parameter(torch.randn(WIDTH, WIDTH + 1).t())
    components = {"model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=1.0)}
    model[0](torch.ones(1, WIDTH)).sum().backward()
    model.turned.grad = torch.ones_like(model.turned)
    expected = content(take(components, lazy=False))
    snapshot = take(components)
    assert late(snapshot) == ["model:0.weight", "model:turned"]
    components["optimizer"].step()
    snapshot.finish()
    assert content(snapshot) == expected


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_at_full_speed_leaves_checkpoints_as_eager_copies_are(
    name: str, open_manager: Any
) -> None:
    training = Training(OPTIMIZERS[name])
    manager = open_manager(background=True)
    expected = {}
    for step in range(1, 21):
        training.step()
        if step % 3 == 0:
            expected[step] = training.copied()
            manager.save(step, **training.components)
    manager.close()
    for step, state in expected.items():
        require_same(manager.load(step), state)


def test_a_thread_that_does_not_get_to_copy_leaves_it_to_the_training(
    open_manager: Any, held: threading.Event
) -> None:
    training = Training(adamw)
    training.step()
    manager = open_manager(background=True)
    expected = training.copied()
    pending = manager.save(1, **training.components)
    opener = threading.Timer(0.1, held.set)  # the one piece that the thread has begun
    opener.start()
    training.step()
    opener.join()
    require_same(manager.load(pending.result().step), expected)


def test_step_makes_up_for_a_snapshot_that_was_changed(
    open_manager: Any, held: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    training = Training(adamw)
    manager = open_manager(background=True, save=EverySteps(10))

    class State:
        step, epoch = 10, None

        def components(self) -> Dict[str, Any]:
            return training.components

    state = State()
    spoilt = manager.step(state)
    behind_torch(training)
    held.set()
    spoilt.wait()
    assert isinstance(spoilt.error(), SnapshotChangedError)
    state.step = 11
    expected = training.copied()
    saved = manager.step(state)
    behind_torch(training)  # no longer matters
    assert saved.result().step == 11
    require_same(manager.load(11), expected)
    assert "everything is copied before the training goes on" in caplog.text
    state.step = 12
    assert manager.step(state) is None
    assert [item.step for item in manager.checkpoints()] == [11]


def test_save_raises_that_its_snapshot_was_changed(
    open_manager: Any, held: threading.Event
) -> None:
    training = Training(adamw)
    manager = open_manager(background=True)
    manager.save(1, **training.components)
    fill(training)
    held.set()
    with pytest.raises(SnapshotChangedError, match="weight"):
        manager.wait()
    assert manager.latest() is None


def test_an_eager_manager_does_not_mind(open_manager: Any, held: threading.Event) -> None:
    training = Training(adamw)
    manager = open_manager(background=True, snapshot="eager")
    expected = training.copied()
    pending = manager.save(1, **training.components)
    behind_torch(training)
    pending.result()
    require_same(manager.load(), expected)


def test_an_error_while_copying_fails_the_save_and_not_the_training(
    open_manager: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(target: torch.Tensor, source: torch.Tensor) -> None:
        raise MemoryError("no memory for the copy")

    monkeypatch.setattr(_snapshot, "_copy_beside", fail)
    monkeypatch.setattr(_snapshot, "_copy_in_parallel", fail)
    training = Training(adamw)
    manager = open_manager(background=True)
    manager.save(1, **training.components)
    training.step()
    with pytest.raises(MemoryError, match="no memory for the copy"):
        manager.wait()
    assert manager.latest() is None


def test_an_interrupted_help_leaves_the_piece_to_others() -> None:
    training = Training(adamw)
    expected = content(take(training.components, lazy=False))
    snapshot = take(training.components)

    def interrupt(target: torch.Tensor, source: torch.Tensor) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        snapshot._work(interrupt)
    snapshot.finish()
    assert content(snapshot) == expected


def test_a_fork_trains_without_the_snapshots_of_its_parent(children: Any) -> None:
    training = Training(adamw)
    snapshot = take(training.components)
    # A thread of the parent's holds what the fork would have to wait for.
    with snapshot._turn:
        assert children.call(training.step) is None
    snapshot.finish()


def test_the_memory_is_the_same_for_every_save(open_manager: Any) -> None:
    training = Training(adamw)
    training.step()
    manager = open_manager(background=True)
    manager.save(1, **training.components).result()
    (arena,) = manager._arenas
    block = arena._block
    training.step()
    manager.save(2, **training.components).result()
    assert manager._arenas == [arena]
    assert arena._block is block


def test_a_second_arena_is_there_only_while_a_save_waits_for_its_turn(open_manager: Any) -> None:
    training = Training(adamw)
    manager = open_manager(background=True)
    for step in range(1, 4):
        manager.save(step, **training.components)
    manager.wait()
    assert len(manager._arenas) == 1


def test_what_is_not_large_or_not_ours_costs_no_hook(open_manager: Any, live: Any) -> None:
    from hfl_checkpoint import _step_hook

    manager = open_manager(background=True)
    manager.save(1, **live(1).components)
    assert not _step_hook._held
    manager.wait()


def test_a_manager_without_background_has_no_snapshot(open_manager: Any) -> None:
    training = Training(adamw)
    manager: CheckpointManager = open_manager(snapshot="lazy")
    saved = manager.save(1, **training.components)
    assert saved.step == 1
