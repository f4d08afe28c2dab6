from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from hfl_core import ConfigError, HflError, IncompatibleStateError
from hfl_state import BestMetric, EarlyStopping, ResumableLoader, RngState, TrainingState


def make(length=10, batch_size=3, loader=True, **options):
    options.setdefault("model", torch.nn.Linear(1, 1))
    if loader:
        options["loader"] = DataLoader(range(length), batch_size=batch_size, shuffle=True)
    return TrainingState(**{"seed": 0, **options})


def counts(state):
    return state.step, state.epoch, state.batch, state.samples


def test_counts_rise_as_a_batch_is_handed_out_and_the_epoch_with_its_last():
    state = make()
    seen = [counts(state) for _ in state.batches(epochs=2)]
    assert seen == [
        (1, 0, 1, 3),
        (2, 0, 2, 6),
        (3, 0, 3, 9),
        (4, 1, 4, 10),
        (5, 1, 5, 13),
        (6, 1, 6, 16),
        (7, 1, 7, 19),
        (8, 2, 8, 20),
    ]


def test_limits_are_totals_so_a_run_that_is_there_yields_nothing():
    state = make()
    assert len(list(state.batches(steps=3))) == 3
    assert len(list(state.batches(steps=5))) == 2
    assert list(state.batches(steps=5)) == []
    assert list(state.batches(epochs=1)) == []
    assert list(state.batches(steps=0)) == []
    assert len(list(state.batches(epochs=2))) == 3


def test_a_step_is_as_many_batches_as_accumulate_says_over_the_ends_of_epochs():
    state = make()
    steps = [(state.step, state.is_step_boundary) for _ in state.batches(steps=2, accumulate=3)]
    assert steps == [(0, False), (0, False), (1, True), (1, False), (1, False), (2, True)]
    assert state.epoch == 1


def test_the_last_group_of_a_run_of_epochs_is_cut_short_and_leaves_no_gradients_over():
    state = make()
    boundaries = [state.is_step_boundary for _ in state.batches(epochs=2, accumulate=3)]
    assert boundaries == [False, False, True, False, False, True, False, True]
    assert state.step == 3
    state.state_dict()


def test_a_save_inside_a_group_is_refused_because_gradients_would_be_lost():
    state = make()
    for _ in state.batches(steps=1, accumulate=3):
        if not state.is_step_boundary:
            with pytest.raises(IncompatibleStateError, match=f"number {state.batch} of 3.*step 1"):
                state.state_dict()
            with pytest.raises(IncompatibleStateError, match="gradients"):
                state.components()["progress"].state_dict()
    assert state.state_dict()["progress"]["step"] == 1


def test_another_accumulation_on_a_resume_is_refused_unless_said_what_to_do(caplog):
    state = make()
    list(state.batches(steps=1, accumulate=2))
    for on_change, batches in (("override", 3), ("keep", 2)):
        other = make(on_change=on_change)
        other.load_state_dict(state.state_dict())
        assert len(list(other.batches(steps=2, accumulate=3))) == batches
        assert (
            f"accumulated 2 batches per step so far, not 3. It goes on with {batches}"
            in caplog.text
        )
    strict = make()
    strict.load_state_dict(state.state_dict())
    for _ in range(2):
        with pytest.raises(ConfigError, match="accumulated 2 batches per step so far, not 3"):
            strict.batches(steps=2, accumulate=3)
    assert len(list(strict.batches(steps=2, accumulate=2))) == 2
    assert len(list(strict.batches(steps=3, accumulate=3))) == 3, "later it may change at will"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "when to end"),
        ({"steps": 1, "epochs": 1}, "when to end"),
        ({"steps": -1}, "steps=-1"),
        ({"steps": 1.5}, "steps=1.5"),
        ({"epochs": True}, "epochs=True"),
        ({"steps": 1, "accumulate": 0}, "accumulate=0"),
    ],
)
def test_limits_that_make_no_sense_are_refused_at_the_call(options, words):
    with pytest.raises(ConfigError, match=words):
        make().batches(**options)


def test_a_state_without_a_loader_has_no_batches_but_may_count_steps_itself():
    state = make(loader=False)
    with pytest.raises(ConfigError, match="no loader"):
        state.batches(steps=1)
    state.step += 2
    state.epoch = 1
    other = make(loader=False)
    other.load_state_dict(state.state_dict())
    assert (other.step, other.epoch) == (2, 1)


def test_a_second_iteration_while_one_is_under_way_is_refused():
    state = make()
    for _ in state.batches(steps=2):
        with pytest.raises(ConfigError, match="under way"):
            state.batches(steps=3)
    early, late = state.batches(steps=4), state.batches(steps=4)
    next(early)
    with pytest.raises(ConfigError, match="under way"):
        next(late)
    early.close()
    assert len(list(state.batches(steps=4))) == 1


def test_leaving_the_loop_or_an_error_in_it_lets_another_one_begin():
    state = make()
    for _ in state.batches(steps=9):
        break

    def fail():
        for _ in state.batches(steps=9):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert state.step == 2
    assert len(list(state.batches(steps=3))) == 1


def test_a_loader_without_batches_is_an_error_and_not_an_endless_loop():
    state = make(loader=False)
    state = TrainingState(
        model=state.model, loader=DataLoader(range(2), batch_size=3, drop_last=True)
    )
    with pytest.raises(ConfigError, match="no batches"):
        next(state.batches(steps=1))


def test_early_stopping_ends_the_loop_and_a_stopped_run_stays_ended():
    def build():
        return make(early_stopping=EarlyStopping("loss", 2), second=EarlyStopping("other", 5))

    state = build()
    for _ in state.batches(steps=100, accumulate=2):
        if state.batch >= 3:
            state.early_stopping.update(1.0)
    assert state.step == 3, "the group in which it stopped was finished"
    again = build()
    again.load_state_dict(state.state_dict())
    assert list(again.batches(steps=100)) == []
    assert again.components()["second"].bad == 0


def test_components_come_in_the_order_of_restoring_with_the_streams_last():
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    state = make(
        model=model,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.StepLR(optimizer, 1),
        scaler=torch.amp.GradScaler("cpu"),
        early_stopping=EarlyStopping("loss", 1),
        ema=torch.nn.Linear(1, 1),
        absent=None,
    )
    assert list(state.components()) == [
        "model",
        "optimizer",
        "scheduler",
        "scaler",
        "early_stopping",
        "loader",
        "progress",
        "clock",
        "ema",
        "settings",
        "rng",
    ]
    assert list(make(loader=False).components()) == [
        "model",
        "progress",
        "clock",
        "settings",
        "rng",
    ]
    assert isinstance(state.loader, ResumableLoader)
    assert "step=0" in repr(state)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"progress": BestMetric("m")}, "'progress' is taken"),
        ({"step": BestMetric("m")}, "'step' is taken"),
        ({"not an identifier": BestMetric("m")}, "not an identifier"),
        ({"ema": object()}, r"'ema' is a object without state_dict\(\)"),
        ({"optimizer": 3}, "'optimizer' is a int"),
        ({"seed": -1}, "seed of -1"),
        ({"seed": 1.0}, "seed of 1.0"),
    ],
)
def test_what_cannot_be_a_component_is_refused_at_once(options, words):
    with pytest.raises(ConfigError, match=words):
        make(**options)


def test_a_seed_seeds_all_streams_and_none_leaves_them_alone(runs):
    model = torch.nn.Linear(1, 1)
    make(model=model, seed=3)
    first = runs.draws()
    make(model=model, seed=None)
    assert runs.draws() != first
    make(model=model, seed=3)
    assert runs.draws() == first


def test_a_generator_of_the_loader_decides_on_the_order_rather_than_the_seed():
    def order(seed):
        generator = torch.Generator().manual_seed(8)
        loader = DataLoader(range(20), 20, shuffle=True, generator=generator)
        state = TrainingState(model=torch.nn.Linear(1, 1), loader=loader, seed=seed)
        return [batch.tolist() for batch in state.batches(epochs=1)]

    assert order(1) == order(2)


def test_streams_of_your_own_can_be_part_of_the_state(runs):
    own = np.random.default_rng(0)
    state = make(rng=RngState({"own": own}))
    saved = runs.through_bytes(state.state_dict())
    expected = own.random()
    state.load_state_dict(saved)
    assert own.random() == expected


def test_best_metrics_are_part_of_the_state(runs):
    state = make()
    for step, _ in enumerate(state.batches(steps=3)):
        state.update_best("loss", [3.0, 1.0, float("nan")][step])
        state.update_best("accuracy", [0.5, 0.4, 0.6][step], "max")
    other = make()
    other.load_state_dict(runs.through_bytes(state.state_dict()))
    assert (other.best["loss"].value, other.best["loss"].step) == (1.0, 2)
    assert (other.best["accuracy"].value, other.best["accuracy"].step) == (0.6, 3)
    with pytest.raises(ConfigError, match="mode 'min'"):
        other.update_best("loss", 1.0, "max")
    other.load_state_dict(state.state_dict())
    clashing = make()
    clashing.update_best("accuracy", 1.0)
    assert clashing.check(state.state_dict()) == [
        "progress: Best 'accuracy': Its mode is 'max', here it is 'min'."
    ]


def fingerprint(runs, state):
    return {k: v for k, v in runs.bits(state.state_dict()).items() if k != "clock"}


def adam(model):
    return torch.optim.Adam(model.parameters())


def with_optimizer(optimizer_of=adam, width=1, **options):
    model = torch.nn.Linear(1, width)
    optimizer = optimizer_of(model)
    model(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    return make(model=model, optimizer=optimizer, **options)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: with_optimizer(length=11), "loader: The dataset length was 10 and is 11 now."),
        (lambda: with_optimizer(batch_size=2), "loader: The batch size was 3 and is 2 now."),
        (make, "Its 'optimizer' has no counterpart here."),
        (lambda: with_optimizer(ema=BestMetric("m")), "It has no 'ema'."),
        (
            lambda: with_optimizer(width=2),
            "model: The shape of 'weight' was (1, 1) and is (2, 1) now.",
        ),
        (
            lambda: with_optimizer(width=2),
            (
                "optimizer: 'exp_avg' of parameter 0 in the order of the groups has shape (1, 1), "
                "the parameter has (2, 1)."
            ),
        ),
        (
            lambda: with_optimizer(lambda m: torch.optim.SGD(m.parameters(), lr=1)),
            "progress: The class of 'optimizer' was Adam and is SGD now.",
        ),
        (
            lambda: with_optimizer(lambda m: torch.optim.Adam([m.weight])),
            "optimizer: The parameters per group were [2] and are [1] now.",
        ),
        (
            lambda: make(model=torch.nn.BatchNorm1d(1), optimizer=adam(torch.nn.Linear(1, 1))),
            "model: It lacks 'running_mean', 'running_var', 'num_batches_tracked'.",
        ),
        (
            lambda: make(model=torch.nn.Linear(1, 1, bias=False), optimizer=None),
            "model: The model has no 'bias'.",
        ),
        (
            lambda: make(model=torch.nn.Linear(1, 1).bfloat16(), optimizer=None),
            (
                "model: The dtype of 'weight', 'bias' was torch.float32 and is torch.bfloat16 "
                "now."
            ),
        ),
    ],
)
def test_a_state_that_does_not_fit_is_described_and_changes_nothing(runs, other, words):
    saved = with_optimizer().state_dict()
    live = other()
    before, draws = fingerprint(runs, live), torch.get_rng_state().tolist()
    assert words in live.check(saved)
    with pytest.raises(IncompatibleStateError) as caught:
        live.load_state_dict(saved)
    assert words in str(caught.value)
    assert fingerprint(runs, live) == before
    assert torch.get_rng_state().tolist() == draws


@pytest.mark.parametrize("name", ["model", "optimizer", "loader", "progress", "rng"])
def test_every_missing_or_senseless_component_is_named(name):
    live = with_optimizer()
    saved = live.state_dict()
    assert live.check(saved) == []
    assert live.check({k: v for k, v in saved.items() if k != name}) == [f"It has no {name!r}."]
    (problem,) = live.check({**saved, name: 3})
    assert problem == f"{name}: It is a int, not a mapping."


def test_a_dict_that_is_no_optimizer_state_is_named():
    live = with_optimizer()
    saved = {**live.state_dict(), "optimizer": {"lr": 1}}
    assert live.check(saved) == ["optimizer: It is not the state of an optimizer."]


def test_many_missing_parameters_are_named_briefly():
    deep = torch.nn.Sequential(*[torch.nn.Linear(1, 1) for _ in range(4)])
    live = make(model=deep)
    saved = {**live.state_dict(), "model": {}}
    assert live.check(saved) == ["model: It lacks '0.weight', '0.bias', '1.weight' and 5 more."]


@pytest.mark.parametrize("compiled_first", [True, False])
def test_a_model_may_be_wrapped_differently_on_the_resume(compiled_first):
    class Wrapped(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

    bare, wrapped = make(), make(model=Wrapped(torch.nn.Linear(1, 1)))
    source, target = (wrapped, bare) if compiled_first else (bare, wrapped)
    target.load_state_dict(source.state_dict())
    values = [list(each.model.state_dict().values()) for each in (source, target)]
    assert [v.tolist() for v in values[0]] == [v.tolist() for v in values[1]]


def test_a_scaler_comes_back_and_one_that_was_off_is_told_apart():
    def build(**options):
        return make(scaler=torch.amp.GradScaler("cpu", **options))

    saved = build(init_scale=1024.0).state_dict()
    live = build()
    live.load_state_dict(saved)
    assert live.scaler.state_dict()["scale"] == 1024.0
    (problem,) = build(enabled=False).check(saved)
    assert problem.startswith("scaler: The gradient scaler was enabled")


def test_something_that_draws_while_it_is_restored_does_not_move_the_streams(runs):
    class Drawing:
        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            torch.rand(10)

    state = make(drawing=Drawing())
    saved = state.state_dict()
    expected = runs.draws()
    state.load_state_dict(saved)
    assert runs.draws() == expected


def test_every_error_is_one_of_the_projects_and_says_what_to_do():
    with pytest.raises(HflError) as caught:
        make().load_state_dict({})
    assert "Nothing was changed" in caught.value.hint
    assert "no 'model'" in str(caught.value)
