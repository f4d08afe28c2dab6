"""What happens when a run is resumed with other settings than it was saved with."""

from __future__ import annotations

import functools
import gc
import weakref

import pytest
import torch
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Subset

from hfl_core import ConfigError, IncompatibleStateError
from hfl_state import BestMetric, EarlyStopping, ResumableLoader, TrainingState

STEPS = 6


def run(lr=0.1, schedule=None, optimizer=torch.optim.SGD, on_change="error", **options):
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    live = optimizer(model.parameters(), lr=lr, **options)
    return TrainingState(
        model=model,
        optimizer=live,
        scheduler=None if schedule is None else schedule(live),
        loader=DataLoader(torch.ones(40, 2), batch_size=4),
        seed=0,
        on_change=on_change,
    )


def train(state, steps=STEPS):
    for batch in state.batches(steps=steps):
        state.optimizer.zero_grad()
        state.model(batch).square().mean().backward()
        state.optimizer.step()
        if state.scheduler is not None:
            state.scheduler.step()
    return state


def step_lr(size=3, gamma=0.5):
    return lambda optimizer: lr_scheduler.StepLR(optimizer, size, gamma)


def linear(step, total):
    return max(0.0, 1 - step / total)


def partial(total):
    return lambda o: lr_scheduler.LambdaLR(o, functools.partial(linear, total=total))


def closed_over(total):
    return lambda o: lr_scheduler.LambdaLR(o, lambda step: max(0.0, 1 - step / total))


def chained(size):
    def build(optimizer):
        parts = [lr_scheduler.ConstantLR(optimizer, 0.5, 2), lr_scheduler.StepLR(optimizer, size)]
        return lr_scheduler.ChainedScheduler(parts)

    return build


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {"lr": 0.2}, "settings: The lr of 'optimizer' was 0.1 and is 0.2 now."),
        (
            {"momentum": 0.9},
            {"momentum": 0.8},
            "settings: The momentum of 'optimizer' was 0.9 and is 0.8 now.",
        ),
        (
            {"schedule": step_lr(3)},
            {"schedule": step_lr(4)},
            "settings: The step_size of 'scheduler' was 3 and is 4 now.",
        ),
        (
            {"schedule": partial(10)},
            {"schedule": partial(20)},
            (
                "settings: The lr_lambdas of 'scheduler' was ['linear(total=10)'] and is "
                "['linear(total=20)'] now."
            ),
        ),
        ({"schedule": closed_over(10)}, {"schedule": closed_over(20)}, "(total=20)'] now."),
        (
            {"schedule": chained(3)},
            {"schedule": chained(5)},
            "settings: The schedule 1: step_size of 'scheduler' was 3 and is 5 now.",
        ),
        (
            {"optimizer": torch.optim.Adam, "betas": (0.9, 0.99)},
            {"optimizer": torch.optim.Adam, "betas": (0.8, 0.99)},
            "settings: The betas of 'optimizer' was [0.9, 0.99] and is [0.8, 0.99] now.",
        ),
    ],
)
def test_another_setting_is_shown_and_refused_and_nothing_is_changed(runs, before, after, words):
    saved = runs.through_bytes(train(run(**before)).state_dict())
    other = run(**after)
    weights = runs.bits(other.model.state_dict())
    assert any(words in text for text in other.check(saved))
    with pytest.raises(IncompatibleStateError) as caught:
        other.load_state_dict(saved)
    assert words in str(caught.value)
    assert "on_change='keep'" in caught.value.hint
    assert runs.bits(other.model.state_dict()) == weights
    assert other.optimizer.param_groups[0]["lr"] == run(**after).optimizer.param_groups[0]["lr"]
    assert run(**before).check(saved) == []


def test_keep_goes_on_exactly_as_the_run_was(runs, caplog):
    whole = train(run(schedule=step_lr(3)), 12)
    saved = runs.through_bytes(train(run(schedule=step_lr(3))).state_dict())
    kept = run(lr=0.5, schedule=step_lr(5), on_change="keep")
    kept.load_state_dict(saved)
    assert "lr of 'optimizer' was 0.1 and is 0.5 now. The run goes on as it was" in caplog.text
    train(kept, 12)
    assert runs.bits(kept.model.state_dict()) == runs.bits(whole.model.state_dict())
    # And what it saves says so: a resume of it is compared with what it was really trained with.
    assert run(schedule=step_lr(3)).check(kept.state_dict()) == []


@pytest.mark.parametrize(
    ("before", "after", "now"),
    [
        ({}, {"lr": 0.3}, 0.3),
        ({"schedule": step_lr(3)}, {"lr": 0.3, "schedule": step_lr(3)}, 0.3 * 0.25),
        ({"schedule": step_lr(3)}, {"schedule": step_lr(6)}, 0.1 * 0.5),
        ({"schedule": partial(10)}, {"schedule": partial(60)}, 0.1 * 0.9),
        (
            {"schedule": lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.1)},
            {"lr": 0.2, "schedule": lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5)},
            0.2,
        ),
    ],
)
def test_override_goes_on_with_the_new_settings_and_the_old_progress(before, after, now):
    first = run(**before)
    if isinstance(first.scheduler, lr_scheduler.ReduceLROnPlateau):
        saved = first.state_dict()
    else:
        saved = train(first).state_dict()
    other = run(**after, weight_decay=0.5, on_change="override")
    for _ in range(2):  # a checkpoint manager loads it before and after all others
        other.load_state_dict(saved)
    group = other.optimizer.param_groups[0]
    assert group["lr"] == pytest.approx(now)
    assert group["weight_decay"] == 0.5
    for name in ("step_size", "factor"):
        assert getattr(other.scheduler, name, 0) == getattr(run(**after).scheduler, name, 0)
    assert other.step == first.step


def test_override_of_one_cycle_goes_on_at_the_same_place_of_the_new_cycle():
    def one_cycle(peak):
        return lambda o: lr_scheduler.OneCycleLR(o, peak, total_steps=30)

    options = {"optimizer": torch.optim.SGD, "momentum": 0.9}
    saved = train(run(schedule=one_cycle(0.1), **options)).state_dict()
    whole = train(run(schedule=one_cycle(0.3), **options))
    other = run(schedule=one_cycle(0.3), on_change="override", **options)
    other.load_state_dict(saved)
    assert other.optimizer.param_groups[0]["lr"] == pytest.approx(
        whole.optimizer.param_groups[0]["lr"]
    )


def test_what_a_lambda_cannot_save_is_named_in_the_log(caplog):
    run(schedule=closed_over(10))
    assert "'scheduler' (a LambdaLR) cannot hold closed_over.<locals>" in caplog.text
    assert "(total=10)" in caplog.text
    caplog.clear()
    run(schedule=partial(10))
    run(schedule=step_lr())
    assert caplog.text == "", "where all that matters is compared there is nothing to say"


@pytest.mark.parametrize("on_change", ["keep", "override"])
def test_an_on_change_that_is_none_of_the_three_is_refused(on_change):
    run(on_change=on_change)
    for build in (run, lambda on_change: ResumableLoader(DataLoader([1]), on_change=on_change)):
        with pytest.raises(ConfigError, match="on_change='ask'"):
            build(on_change="ask")


def loader(length=40, batch_size=4, dataset=None, **options):
    return DataLoader(dataset or list(range(length)), batch_size=batch_size, **options)


def state(of, **options):
    return TrainingState(model=torch.nn.Linear(1, 1), loader=of, seed=0, **options)


def seen(of, until=None, **limits):
    found = []
    for batch in of.batches(**limits):
        found += batch.tolist()
        if of.step == until:
            break
    return found


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("size", [1, 3, 7, 40])
def test_another_batch_size_reads_the_rest_of_the_epoch_and_then_whole_ones(shuffle, size, caplog):
    first = state(loader(shuffle=shuffle))
    head = seen(first, 3, epochs=2)
    other = state(loader(batch_size=size, shuffle=shuffle), on_change="override")
    other.load_state_dict(first.state_dict())
    assert "batch size was 4 and is" in caplog.text
    assert not other.loader.is_epoch_start
    rest = seen(other, epochs=2)
    assert sorted(head + rest[:28]) == list(range(40))
    assert sorted(rest[28:]) == list(range(40))
    again = state(loader(batch_size=size, shuffle=shuffle))
    assert again.check(other.state_dict()) == []


def test_another_batch_size_at_the_end_of_the_data_begins_the_next_epoch():
    first = state(loader(length=10, batch_size=3, drop_last=True))
    seen(first, 2, steps=9)
    other = ResumableLoader(loader(length=10, batch_size=5, drop_last=True), on_change="override")
    other.load_state_dict(first.loader.state_dict())
    assert (other.epoch, other.batch) == (1, 0), "of the four that are left no batch can be made"


def test_a_dataset_of_another_length_goes_on_at_the_same_batch_if_that_is_wanted(caplog):
    first = state(loader(shuffle=True))
    seen(first, 3, epochs=1)
    for on_change in ("error", "keep"):
        with pytest.raises(IncompatibleStateError, match="dataset length was 40 and is 44 now"):
            state(loader(44, shuffle=True), on_change=on_change).load_state_dict(first.state_dict())
    other = state(loader(44, shuffle=True), on_change="override")
    other.load_state_dict(first.state_dict())
    assert "some of its samples are read twice" in caplog.text
    assert len(seen(other, epochs=1)) == 44 - 12


class Named(list):
    fingerprint = "v1"


def test_a_dataset_that_is_called_something_else_is_another_one():
    saved = state(loader(dataset=Named(range(9)))).state_dict()
    changed = Named(range(9))
    changed.fingerprint = "v2"
    assert state(loader(dataset=changed)).check(saved) == [
        "loader: The dataset fingerprint was 'v1' and is 'v2' now."
    ]
    named = ResumableLoader(loader(dataset=list(range(9))), fingerprint="v1")
    assert state(named).check(saved) == []


def test_a_split_that_came_out_differently_is_another_dataset():
    def split(seed):
        part = Subset(
            range(50), torch.randperm(50, generator=torch.Generator().manual_seed(seed))[:9]
        )
        return state(loader(dataset=part))

    assert split(0).check(split(0).state_dict()) == []
    (problem,) = split(1).check(split(0).state_dict())
    assert "dataset fingerprint" in problem


class Remembering:
    def __init__(self):
        self.calls = 0

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, saved):
        self.calls = saved["calls"]


def test_callbacks_of_one_class_keep_a_state_each_and_those_without_one_are_let_be(runs):
    def build(*calls):
        callbacks = [Remembering() for _ in calls]
        for each, count in zip(callbacks, calls):
            each.calls = count
        return callbacks, state(loader(), callbacks=[*callbacks, object(), BestMetric("loss")])

    _, first = build(3, 5)
    restored, other = build(0, 0)
    for _ in range(3):
        other.load_state_dict(runs.through_bytes(first.state_dict()))
    assert [each.calls for each in restored] == [3, 5]
    fewer = state(loader(), callbacks={"Remembering": Remembering()})
    found = fewer.check(first.state_dict())
    assert found == [
        "callbacks: Its callback 'Remembering 2' is not here.",
        "callbacks: Its callback 'BestMetric' is not here.",
    ]
    assert any("It has no callback" in text for text in first.check(fewer.state_dict()))

    class Half:
        state_dict = Remembering.state_dict

    with pytest.raises(ConfigError, match="only one of"):
        state(loader(), callbacks=[Half()])


def test_several_optimizers_and_schedules_are_a_component_each(runs):
    def build():
        model = torch.nn.Linear(1, 1)
        optimizers = {n: torch.optim.SGD([p], lr=0.1) for n, p in model.named_parameters()}
        schedules = [lr_scheduler.StepLR(each, 1) for each in optimizers.values()]
        stops = [EarlyStopping("loss", 1), EarlyStopping("accuracy", 2, "max")]
        return TrainingState(
            model=model,
            optimizer=optimizers,
            scheduler=schedules,
            early_stopping=stops,
            loader=loader(),
            ema=[torch.nn.Linear(1, 1)],
        )

    first, other = build(), build()
    names = list(first.components())
    assert names[:7] == [
        "model",
        "optimizer_weight",
        "optimizer_bias",
        "scheduler_0",
        "scheduler_1",
        "early_stopping_0",
        "early_stopping_1",
    ]
    assert "ema_0" in names
    first.optimizer["bias"].step()
    first.scheduler[1].step()
    first.early_stopping[1].update(0.5)
    other.load_state_dict(runs.through_bytes(first.state_dict()))
    assert other.scheduler[1].last_epoch == 1
    assert other.early_stopping[1].best == 0.5
    assert other.optimizer["bias"].param_groups[0]["lr"] == pytest.approx(0.01)
    with pytest.raises(ConfigError, match="not an identifier"):
        state(None, optimizer={"a b": other.optimizer["bias"]})


def test_components_may_be_missing_only_where_that_is_allowed(caplog):
    first, other = run(), state(loader(), ema=torch.nn.Linear(1, 1))
    saved = {k: v for k, v in other.state_dict().items() if k != "ema"}
    with pytest.raises(IncompatibleStateError, match="no 'ema'"):
        other.load_state_dict(saved)
    other.load_state_dict(saved, allow_missing={"ema"})
    lenient = run(on_change="override")
    lenient.load_state_dict({**first.state_dict(), "ema": {}})
    assert "'ema' has no counterpart here and is left out" in caplog.text


def test_a_component_that_compares_states_by_itself_is_asked(runs):
    class Picky(Remembering):
        def check(self, saved):
            return [] if saved["calls"] else ["There were no calls."]

    live = state(loader(), picky=Picky())
    assert live.check(live.state_dict()) == ["picky: There were no calls."]


def test_the_time_of_a_run_goes_on_from_what_was_saved():
    from hfl_state._clock import Clock

    now = [100.0]
    clock = Clock(monotonic=lambda: now[0])
    now[0] = 130.0
    saved = clock.state_dict()
    now[0] = 1000.0
    clock.load_state_dict(saved)
    now[0] = 1005.0
    assert clock.elapsed == 35.0
    first = state(loader())
    first.load_state_dict({**first.state_dict(), "clock": {"format": 1, "elapsed": 3600.0}})
    assert 3600 <= first.elapsed < 7200


def test_a_best_metric_counts_what_exceeds_the_delta_only():
    best = BestMetric("accuracy", "max", min_delta=0.1, history=True)
    assert [best.update(value, step=i) for i, value in enumerate((0.5, 0.55, 0.7))] == [
        True,
        False,
        True,
    ]
    assert best.history == [(0, 0.5), (1, 0.55), (2, 0.7)]
    with pytest.raises(ConfigError, match="min_delta"):
        BestMetric("accuracy", min_delta=-1)


def tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from tensors(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from tensors(each)


def lbfgs(parameters, lr):
    return torch.optim.LBFGS(parameters, lr=lr)


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, lbfgs])
def test_nothing_of_a_saved_state_is_alive_after_the_restore(runs, optimizer):
    def build():
        return run(optimizer=optimizer, schedule=step_lr())

    live = build()
    for batch in live.batches(steps=3):

        def closure(batch=batch):
            live.optimizer.zero_grad()
            loss = live.model(batch).square().mean()
            loss.backward()
            return loss

        live.optimizer.step(closure)
        live.scheduler.step()
    saved = runs.through_bytes(live.state_dict())
    alive = [weakref.ref(each.untyped_storage()) for each in tensors(saved)]
    kept = {each.data_ptr() for each in tensors(saved)}
    other = build()
    other.load_state_dict(saved)
    assert not kept & {each.data_ptr() for each in tensors(other.state_dict())}
    lists = [weakref.ref(each) for each in tensors(saved)]
    del saved
    gc.collect()
    assert len(alive) > 3
    assert [each for each in lists if each() is not None] == []


def test_what_is_captured_beside_parameters_and_optimizer_does_not_grow_with_the_data():
    def capture(length):
        live = state(loader(dataset=range(length), shuffle=True))
        next(live.batches(steps=5))
        return {n: each.state_dict() for n, each in live.components().items() if n != "model"}

    small, large = capture(1000), capture(10**9)
    assert len(repr(small)) == pytest.approx(len(repr(large)), abs=60)
