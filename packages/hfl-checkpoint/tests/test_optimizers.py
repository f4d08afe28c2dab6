"""Optimizers: by parameter name, in the data types they were saved with, and the same bits from there on."""

from __future__ import annotations

import copy
import pathlib
import tempfile
from typing import Any, Callable, Dict, List

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from hfl_checkpoint import CheckpointManager, StateMismatchError

# torch 2.6 began to take pairs of name and parameter.
TAKES_NAMES = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 6)


def build_model(seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).to(dtype)


def train(model: nn.Module, optimizer: Any, steps: range) -> None:
    """Take steps on data that depends on the step alone."""
    for step in steps:
        data = torch.rand(8, 4, generator=torch.Generator().manual_seed(step))
        data = data.to(next(model.parameters()).dtype)

        def closure(data: torch.Tensor = data) -> torch.Tensor:
            optimizer.zero_grad()
            with torch.enable_grad():  # some optimizers call it without
                loss = model(data).square().sum()
                loss.backward()
            return loss

        optimizer.step(closure)


def same(left: Any, right: Any) -> bool:
    """The same bits, types and data types, all the way down."""
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


class Fp32Adam(torch.optim.Optimizer):
    """Keeps its moments in fp32 whatever the parameters are, as most training at scale does."""

    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, {"lr": lr})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # torch has overloads
        if closure is not None:
            closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    state = self.state[parameter]
                    if not state:
                        state["step"] = 0
                        state["exp_avg"] = torch.zeros_like(parameter, dtype=torch.float32)
                        state["exp_avg_sq"] = torch.zeros_like(parameter, dtype=torch.float32)
                        state["master"] = parameter.detach().to(torch.float32)
                    gradient = parameter.grad.to(torch.float32)
                    state["step"] += 1
                    state["exp_avg"].lerp_(gradient, 0.1)
                    state["exp_avg_sq"].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                    update = state["exp_avg"] / (state["exp_avg_sq"].sqrt() + 1e-8)
                    state["master"].add_(update, alpha=-group["lr"])
                    parameter.copy_(state["master"])


def in_groups(model: Any) -> List[Dict[str, Any]]:
    return [
        {"params": [model[0].weight, model[2].weight], "weight_decay": 0.1, "tag": ("a", 1)},
        {"params": []},
        {"params": [model[0].bias, model[2].bias], "lr": 0.5},
    ]


OPTIMIZERS: Dict[str, Callable[[Any], Any]] = {
    "AdamW amsgrad": lambda model: torch.optim.AdamW(model.parameters(), lr=0.1, amsgrad=True),
    "AdamW foreach": lambda model: torch.optim.AdamW(model.parameters(), lr=0.1, foreach=True),
    "AdamW fused": lambda model: torch.optim.AdamW(model.parameters(), lr=0.1, fused=True),
    "AdamW groups": lambda model: torch.optim.AdamW(in_groups(model), lr=0.1),
    "Adam tensor lr": lambda model: torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1)),
    "SGD momentum": lambda model: torch.optim.SGD(
        model.parameters(), lr=0.01, momentum=0.9, nesterov=True
    ),
    "SGD": lambda model: torch.optim.SGD(model.parameters(), lr=0.01),
    "RMSprop": lambda model: torch.optim.RMSprop(model.parameters(), centered=True),
    "NAdam": lambda model: torch.optim.NAdam(model.parameters()),
    "Rprop": lambda model: torch.optim.Rprop(model.parameters()),
    "LBFGS": lambda model: torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3),
    "LBFGS Wolfe": lambda model: torch.optim.LBFGS(
        model.parameters(), max_iter=3, line_search_fn="strong_wolfe"
    ),
    "Fp32Adam": lambda model: Fp32Adam(model.parameters()),
}
if TAKES_NAMES:
    OPTIMIZERS["AdamW named"] = lambda model: torch.optim.AdamW(model.named_parameters())


class QuantisedAdam(torch.optim.Optimizer):
    """Keeps its moments in eight bits with a scale for each block, as bitsandbytes does."""

    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, {"lr": lr})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # torch has overloads
        if closure is not None:
            closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    state = self.state[parameter]
                    if not state:
                        state["step"] = 0
                        state["state1"] = torch.zeros(parameter.shape, dtype=torch.uint8)
                        state["qmap1"] = torch.linspace(-1, 1, 256)
                        state["absmax1"] = torch.ones(())
                    moment = state["qmap1"][state["state1"].long()] * state["absmax1"]
                    moment.lerp_(parameter.grad.to(torch.float32), 0.1)
                    state["step"] += 1
                    state["absmax1"] = moment.abs().max()
                    scaled = moment / (state["absmax1"] + 1e-12)
                    state["state1"] = ((scaled + 1) * 127.5).round().to(torch.uint8)
                    parameter.add_(moment, alpha=-group["lr"])


def adafactor_of_transformers(model: Any) -> Any:
    from transformers.optimization import Adafactor

    return Adafactor(model.parameters(), scale_parameter=True, relative_step=True, warmup_init=True)


OPTIMIZERS["Adafactor of transformers"] = adafactor_of_transformers
OPTIMIZERS["QuantisedAdam"] = lambda model: QuantisedAdam(model.parameters())
OPTIMIZERS["AdamW amsgrad foreach"] = lambda model: torch.optim.AdamW(
    model.parameters(), lr=0.1, amsgrad=True, foreach=True, maximize=True
)
if hasattr(torch.optim, "Adafactor"):
    OPTIMIZERS["Adafactor"] = lambda model: torch.optim.Adafactor(model.parameters(), lr=0.1)


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_steps_after_a_restore_are_those_of_the_uninterrupted_run(
    tmp_path: pathlib.Path, name: str, used: bool
) -> None:
    model = build_model()
    optimizer = OPTIMIZERS[name](model)
    train(model, optimizer, range(3))
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(3, model=model, optimizer=optimizer)
        saved = copy.deepcopy(optimizer.state_dict())
        train(model, optimizer, range(3, 6))

        resumed = build_model(seed=1)
        its_optimizer = OPTIMIZERS[name](resumed)
        if used:
            train(resumed, its_optimizer, range(10, 12))
        checkpoints.restore(model=resumed, optimizer=its_optimizer)

    assert same(its_optimizer.state_dict(), saved)
    train(resumed, its_optimizer, range(3, 6))
    assert same(its_optimizer.state_dict(), optimizer.state_dict())
    for left, right in zip(model.parameters(), resumed.parameters()):
        assert torch.equal(left, right)


# torch itself turns the eight bits of a quantised state into floats.
@pytest.mark.parametrize("name", sorted({*OPTIMIZERS} - {"QuantisedAdam"}))
def test_a_loaded_state_is_what_torch_itself_loads(tmp_path: pathlib.Path, name: str) -> None:
    model = build_model()
    optimizer = OPTIMIZERS[name](model)
    train(model, optimizer, range(3))
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(3, model=model, optimizer=optimizer)
        other = OPTIMIZERS[name](model)
        other.load_state_dict(checkpoints.load()["optimizer"])

    assert same(other.state_dict(), optimizer.state_dict())


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_fp32_moments_of_bf16_parameters_stay_fp32_bit_for_bit(
    tmp_path: pathlib.Path, used: bool
) -> None:
    model = build_model(dtype=torch.bfloat16)
    optimizer = Fp32Adam(model.parameters())
    train(model, optimizer, range(3))
    expected = copy.deepcopy(optimizer.state_dict()["state"])
    resumed = build_model(seed=1, dtype=torch.bfloat16)
    its_optimizer = Fp32Adam(resumed.parameters())
    if used:
        train(resumed, its_optimizer, range(2))
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(3, model=model, optimizer=optimizer)
        checkpoints.restore(model=resumed, optimizer=its_optimizer)

    found = its_optimizer.state_dict()["state"]
    assert found[0]["exp_avg"].dtype == torch.float32
    assert same(found, expected)


def test_saving_takes_no_step(tmp_path: pathlib.Path) -> None:
    model, untouched = build_model(), build_model()
    optimizer = torch.optim.AdamW(model.parameters())
    reference = torch.optim.AdamW(untouched.parameters())
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(0, model=model, optimizer=optimizer)

    assert not optimizer.state
    assert all(parameter.grad is None for parameter in model.parameters())
    train(model, optimizer, range(3))
    train(untouched, reference, range(3))
    assert same(optimizer.state_dict(), reference.state_dict())


def test_restoring_a_fresh_state_makes_a_used_optimizer_fresh(tmp_path: pathlib.Path) -> None:
    model = build_model()
    optimizer = torch.optim.AdamW(model.parameters())
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(0, model=model, optimizer=optimizer)
        train(model, optimizer, range(2))
        checkpoints.restore(model=model, optimizer=optimizer)

    assert not optimizer.state_dict()["state"]


def test_parameters_are_found_by_name_when_their_order_changed(tmp_path: pathlib.Path) -> None:
    model = build_model()
    optimizer = torch.optim.AdamW(model.parameters())
    train(model, optimizer, range(3))
    resumed = build_model(seed=1)
    reordered = torch.optim.AdamW(list(reversed(list(resumed.parameters()))))
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(3, model=model, optimizer=optimizer)
        checkpoints.restore(model=resumed, optimizer=reordered)

    for parameter, other in zip(model.parameters(), resumed.parameters()):
        assert same(optimizer.state[parameter], reordered.state[other])


@pytest.mark.skipif(not TAKES_NAMES, reason="this torch keeps no names of parameters")
def test_names_that_torch_keeps_follow_the_live_order(tmp_path: pathlib.Path) -> None:
    model, resumed = build_model(), build_model(seed=1)
    optimizer = torch.optim.AdamW(model.named_parameters())
    train(model, optimizer, range(2))
    reordered = torch.optim.AdamW(list(reversed(list(resumed.named_parameters()))))
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(3, model=model, optimizer=optimizer)
        checkpoints.restore(model=resumed, optimizer=reordered)

    names = {id(parameter): name for name, parameter in resumed.named_parameters()}
    group = reordered.param_groups[0]
    assert group["param_names"] == [names[id(parameter)] for parameter in group["params"]]


def test_without_its_model_an_optimizer_is_restored_by_position(tmp_path: pathlib.Path) -> None:
    model, other = build_model(), build_model(seed=1)
    optimizer, alone = (
        torch.optim.AdamW(model.parameters()),
        torch.optim.AdamW(other.parameters()),
    )
    train(model, optimizer, range(2))
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(2, model=model, optimizer=optimizer)
        checkpoints.restore(optimizer=alone)
        assert same(alone.state_dict(), optimizer.state_dict())
        checkpoints.save(3, model=other, optimizer=optimizer)
        named = torch.optim.AdamW(other.parameters())
        checkpoints.restore(model=other, optimizer=named)  # names that were not there then

    assert same(named.state_dict(), optimizer.state_dict())


def test_an_optimizer_of_two_models_and_a_tied_parameter(tmp_path: pathlib.Path) -> None:
    def build(seed: int) -> Any:
        actor, critic = build_model(seed), build_model(seed + 10)
        critic[2].weight = actor[2].weight
        parameters = {id(p): p for p in [*critic.parameters(), *actor.parameters()]}
        return actor, critic, torch.optim.AdamW(list(parameters.values()))

    actor, critic, optimizer = build(0)
    train(actor, optimizer, range(2))
    other_actor, other_critic, other = build(5)
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(2, actor=actor, critic=critic, optimizer=optimizer)
        checkpoints.restore(actor=other_actor, critic=other_critic, optimizer=other)

    assert other_critic[2].weight is other_actor[2].weight
    assert same(other.state_dict(), optimizer.state_dict())


MISMATCHES = {
    "another group": (
        lambda m: torch.optim.AdamW([{"params": [p]} for p in m.parameters()]),
        "1 parameter groups were saved, and there are 4",
    ),
    "fewer parameters": (
        lambda m: torch.optim.AdamW(list(m.parameters())[:-1]),
        "group 0 had 4 parameters, and there are 3",
    ),
    "more parameters": (
        lambda m: torch.optim.AdamW([*m.parameters(), nn.Parameter(torch.ones(1))]),
        "group 0 had 4 parameters, and there are 5",
    ),
    "other class": (
        lambda m: torch.optim.SGD(m.parameters()),
        "an AdamW was saved, and it is a SGD",
    ),
}


@pytest.mark.parametrize("kind", MISMATCHES)
def test_an_optimizer_that_does_not_fit_is_named_before_anything_is_touched(
    tmp_path: pathlib.Path, kind: str
) -> None:
    build, message = MISMATCHES[kind]
    model = build_model()
    optimizer = torch.optim.AdamW(model.parameters())
    train(model, optimizer, range(2))
    target = build_model(seed=1)
    other = build(target)
    weights, state = copy.deepcopy(target.state_dict()), copy.deepcopy(other.state_dict())
    counters = {"seen": 1}
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(2, model=model, optimizer=optimizer, counters={"seen": 2})

        with pytest.raises(StateMismatchError, match=message):
            checkpoints.restore(counters=counters, model=target, optimizer=other)

    assert same(dict(target.state_dict()), dict(weights))
    assert same(other.state_dict(), state)
    assert counters == {"seen": 1}


def test_a_parameter_of_another_shape_is_named(tmp_path: pathlib.Path) -> None:
    saved, live = nn.Linear(4, 2), nn.Linear(4, 3)
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, optimizer=torch.optim.SGD(saved.parameters()))

        with pytest.raises(StateMismatchError, match=r"had shape \[2, 4\], and has \[3, 4\]"):
            checkpoints.restore(optimizer=torch.optim.SGD(live.parameters()))


def test_a_parameter_in_another_group_is_named(tmp_path: pathlib.Path) -> None:
    def build(first: str) -> Any:
        model = nn.Linear(2, 2)
        parameters = dict(model.named_parameters())
        other = "bias" if first == "weight" else "weight"
        return model, torch.optim.SGD([{"params": [parameters[n]]} for n in (first, other)])

    model, optimizer = build("weight")
    other, its_optimizer = build("bias")
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=model, optimizer=optimizer)

        with pytest.raises(StateMismatchError, match="group 0 had parameter 'weight'"):
            checkpoints.restore(model=other, optimizer=its_optimizer)


def test_restoring_keeps_the_memory_of_tensors_that_fit(tmp_path: pathlib.Path) -> None:
    model = build_model()
    optimizer = torch.optim.AdamW(model.parameters())
    train(model, optimizer, range(2))
    parameter = model[0].weight  # type: ignore[index]  # a Sequential
    address = optimizer.state[parameter]["exp_avg"].data_ptr()
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(2, model=model, optimizer=optimizer)
        train(model, optimizer, range(2, 4))
        checkpoints.restore(model=model, optimizer=optimizer)

    assert optimizer.state[parameter]["exp_avg"].data_ptr() == address


def test_the_step_count_stays_where_the_optimizer_wants_it(tmp_path: pathlib.Path) -> None:
    model = build_model()
    optimizer = torch.optim.AdamW(model.parameters(), capturable=False)
    train(model, optimizer, range(2))
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(2, model=model, optimizer=optimizer)
        fresh = torch.optim.AdamW(model.parameters())
        checkpoints.restore(model=model, optimizer=fresh)

    step = fresh.state[model[0].weight]["step"]  # type: ignore[index]  # a Sequential
    assert step.item() == 2
    assert step.dtype == torch.float32


def test_a_nameless_parameter_does_not_hide_that_the_others_changed_places(
    tmp_path: pathlib.Path,
) -> None:
    def build(order: str) -> tuple[Any, Any]:
        torch.manual_seed(0)
        model = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
        free = nn.Parameter(torch.ones(2))
        named = [model[name].weight for name in order]
        return model, torch.optim.Adam([*named, free])

    model, optimizer = build("ab")
    for number, parameter in enumerate(optimizer.param_groups[0]["params"], start=1):
        parameter.grad = torch.full_like(parameter, float(number))
    optimizer.step()
    other, resumed = build("ba")
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=model, optimizer=optimizer)
        checkpoints.restore(model=other, optimizer=resumed)
    for name in "ab":
        before = optimizer.state[model[name].weight]["exp_avg"]
        assert torch.equal(resumed.state[other[name].weight]["exp_avg"], before)


def test_a_capturable_optimizer_keeps_its_steps_as_tensors(tmp_path: pathlib.Path) -> None:
    def build() -> Any:
        model = build_model()
        optimizer = torch.optim.AdamW(model.parameters(), lr=torch.tensor(0.1))
        train(model, optimizer, range(2))
        # It steps on accelerators only; its state is the same everywhere.
        for group in optimizer.param_groups:
            group["capturable"] = True
        return model, optimizer

    (model, optimizer), (target, its_optimizer) = build(), build()
    for state in optimizer.state.values():
        state["step"].fill_(41.0)
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(2, model=model, optimizer=optimizer)
        checkpoints.restore(model=target, optimizer=its_optimizer)

    assert same(its_optimizer.state_dict(), optimizer.state_dict())
    assert its_optimizer.param_groups[0]["capturable"] is True


DTYPES = [
    torch.float32,
    torch.bfloat16,
    torch.float16,
    torch.float64,
    torch.complex64,
    torch.uint8,
    torch.int8,
    torch.int64,
    torch.bool,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
]
SHAPES = [(), (0,), (1,), (3, 4), (2, 0, 3)]

tensors = st.builds(
    lambda shape, dtype, seed: (
        torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 100
    ).to(dtype),
    st.sampled_from(SHAPES),
    st.sampled_from(DTYPES),
    st.integers(0, 99),
)
values = st.recursive(
    tensors
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.booleans()
    | st.none(),
    lambda inner: st.lists(inner, max_size=3)
    | st.tuples(inner, inner)
    | st.dictionaries(st.text(max_size=4) | st.integers(0, 9), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.filterwarnings("ignore:.*Complex.* support is experimental")
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    states=st.lists(
        st.dictionaries(st.text(min_size=1, max_size=6), values, max_size=4), max_size=4
    ),
    options=st.dictionaries(st.sampled_from(["lr", "tag", "betas"]), values, max_size=3),
)
def test_any_state_of_any_optimizer_comes_back_bit_for_bit(
    memory_path: pathlib.Path, states: Any, options: Any
) -> None:
    class Anything(torch.optim.Optimizer):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]  # torch has overloads
            raise AssertionError("reading takes no step")

    def build() -> Any:
        model = build_model()
        return model, Anything(model.parameters(), {})

    (model, optimizer), (target, its_optimizer) = build(), build()
    optimizer.param_groups[0].update(options)
    for parameter, state in zip(model.parameters(), states):
        optimizer.state[parameter] = state
    with tempfile.TemporaryDirectory(dir=memory_path) as folder, CheckpointManager(
        folder, background=False
    ) as checkpoints:
        checkpoints.save(1, model=model, optimizer=optimizer)
        checkpoints.restore(model=target, optimizer=its_optimizer)

    for mine, other in zip(model.parameters(), target.parameters()):
        assert identical(optimizer.state.get(mine, {}), its_optimizer.state.get(other, {}))
    mine, other = dict(optimizer.param_groups[0]), dict(its_optimizer.param_groups[0])
    mine.pop("params")
    other.pop("params")
    assert identical(mine, other)


def identical(left: Any, right: Any) -> bool:
    """The same bytes and types, all the way down, data types that cannot be compared included."""
    if isinstance(left, torch.Tensor):
        return (left.dtype, left.shape) == (right.dtype, right.shape) and bytes(
            left.contiguous().reshape(-1).view(torch.uint8).tolist()
        ) == bytes(right.contiguous().reshape(-1).view(torch.uint8).tolist())
    if isinstance(left, dict):
        return list(left) == list(right) and all(identical(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return (
            type(left) is type(right)
            and len(left) == len(right)
            and all(map(identical, left, right))
        )
    return type(left) is type(right) and left == right
