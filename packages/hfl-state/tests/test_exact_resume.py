"""A run that is stopped and resumed ends with the same bits as one that never stopped.

The matrix: every kind of sampler x workers (none, two, persistent) x accumulation x where the save
is. Each cell resumes at least twice and trains on through the following epochs.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from hfl_state import ResumableLoader, TrainingState

EPOCHS = 7  # of 4 batches
WORKER_EPOCHS = 4  # fewer, since each starts its workers anew
SAMPLERS = (
    "sequential", "shuffle", "weighted", "subset", "replacement", "distributed", "custom",
    "batch_sampler",
)  # fmt: skip
# Totals of batches at which the loop body saves. All are multiples of 3, to be step boundaries with
# accumulate=3 too.
SAVES = {
    "first batch of an epoch": (9, 21),
    "middle of an epoch": (6, 15, 18),
    "last batch of an epoch": (12, 24),
}
_references = {}


def reference(runs, sampler, workers, accumulate):
    key = (sampler, workers, accumulate)
    if key not in _references:
        run = runs.run(runs.loader(sampler, workers))
        run.train(epochs=WORKER_EPOCHS if workers else EPOCHS, accumulate=accumulate)
        _references[key] = (run.ids, run.outcome())
    return _references[key]


def disturb():
    """What a new process would have: streams that stand somewhere else."""
    torch.manual_seed(4711)
    random.seed(4711)
    np.random.seed(4711)


def resumed(runs, saved, ids, sampler, workers=0, persistent=False):
    disturb()
    run = runs.run(runs.loader(sampler, workers, persistent), seed=99)
    run.ids = ids
    run.state.load_state_dict(saved)
    return run


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("saves", SAVES.values(), ids=list(SAVES))
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_resume_inside_the_loop_body_is_exact(runs, sampler, saves, accumulate):
    ids, outcome = reference(runs, sampler, 0, accumulate)
    run = runs.run(runs.loader(sampler))
    for at in saves:
        saved = run.train(at, epochs=EPOCHS, accumulate=accumulate)
        run = resumed(runs, saved, run.ids, sampler)
    run.train(epochs=EPOCHS, accumulate=accumulate)
    assert run.ids == ids
    assert run.outcome() == outcome


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_resume_between_epochs_is_exact(runs, sampler, accumulate):
    ids, outcome = reference(runs, sampler, 0, accumulate)
    run = runs.run(runs.loader(sampler))
    for epochs in (3, 6):
        run.train(epochs=epochs, accumulate=accumulate)
        run = resumed(runs, runs.through_bytes(run.state.state_dict()), run.ids, sampler)
    run.train(epochs=EPOCHS, accumulate=accumulate)
    assert run.ids == ids
    assert run.outcome() == outcome


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("persistent", [False, True], ids=["workers", "persistent"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_resumes_with_workers_are_exact_augmentations_included(
    runs, sampler, persistent, accumulate
):
    ids, outcome = reference(runs, sampler, 2, accumulate)
    run = runs.run(runs.loader(sampler, 2, persistent))
    for at in (6, 9, 12):  # middle, first and last of an epoch
        saved = run.train(at, epochs=WORKER_EPOCHS, accumulate=accumulate)
        run = resumed(runs, saved, run.ids, sampler, 2, persistent)
    run.train(epochs=3, accumulate=accumulate)  # and between two, which yields nothing more
    run = resumed(runs, run.state.state_dict(), run.ids, sampler, 2, persistent)
    run.train(epochs=WORKER_EPOCHS, accumulate=accumulate)
    assert run.ids == ids
    assert run.outcome() == outcome


def test_the_order_is_the_same_with_and_without_workers(runs):
    assert reference(runs, "shuffle", 0, 1)[0][:16] == reference(runs, "shuffle", 2, 1)[0]


@pytest.mark.parametrize("sampler", ["shuffle", "weighted", "subset", "batch_sampler"])
def test_epochs_differ_from_each_other_and_seeds_do_too(runs, sampler):
    def orders(seed):
        run = runs.run(runs.loader(sampler), seed=seed)
        run.train(epochs=2)
        return run.ids[:4], run.ids[4:]

    first, second = orders(0)
    assert first != second
    assert orders(0) == (first, second)
    assert orders(1)[0] != first


def test_every_epoch_of_a_resumed_shuffle_has_every_sample_once(runs):
    run = runs.run(runs.loader("shuffle"))
    saved = run.train(6, epochs=3)
    run = resumed(runs, saved, run.ids, "shuffle")
    run.train(epochs=3)
    for epoch in range(3):
        seen = [i for batch in run.ids[4 * epoch : 4 * epoch + 4] for i in batch]
        assert sorted(seen) == list(range(12))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_state_loaded_inside_the_loop_body_takes_effect_with_the_next_batch(runs, workers):
    ids, outcome = reference(runs, "shuffle", workers, 1)
    run = runs.run(runs.loader("shuffle", workers))
    saved = None
    for batch in run.state.batches(epochs=WORKER_EPOCHS if workers else EPOCHS):
        run.ids.append(batch["id"].tolist())
        run.model(batch["x"]).square().mean().backward()
        run.optimizer.step()
        run.scheduler.step()
        run.optimizer.zero_grad()
        if run.state.batch == 6 and saved is None:
            saved = runs.through_bytes(run.state.state_dict())
        if run.state.batch == 11 and len(run.ids) == 11:  # as on a loss spike, and only once
            run.state.load_state_dict(saved)
            del run.ids[6:]
            run.ids += [[]] * 5
    assert run.ids[:6] + run.ids[11:] == ids
    assert run.outcome() == outcome


def test_bfloat16_parameters_get_their_float32_moments_back_to_the_bit(runs):
    def build():
        model = torch.nn.Linear(4, 4).bfloat16()
        optimizer = torch.optim.Adam(model.parameters())
        for parameter in model.parameters():
            optimizer.state[parameter] = {
                "step": torch.tensor(1.0),
                "exp_avg": torch.rand(parameter.shape),
                "exp_avg_sq": torch.rand(parameter.shape),
            }
        return TrainingState(model=model, optimizer=optimizer), optimizer

    (state, optimizer), (other, restored) = build(), build()
    other.load_state_dict(runs.through_bytes(state.state_dict()))
    assert runs.bits(restored.state_dict()) == runs.bits(optimizer.state_dict())


def test_training_on_leaves_the_loaded_state_as_it_was(runs):
    run = runs.run(runs.loader("shuffle"))
    saved = run.train(6, epochs=3)
    before = runs.bits(saved)
    for _ in range(2):
        again = resumed(runs, saved, [], "shuffle")
        again.train(epochs=3)
        assert runs.bits(saved) == before


def seeded(runs, workers=0, batch_size=3):
    dataset = runs.noisy()
    loader = DataLoader(dataset, batch_size, shuffle=True, num_workers=workers)
    return ResumableLoader(loader, seed=4, seed_samples=True)


def noise(loader, epochs=2):
    found = [batch for _ in range(epochs) for batch in loader]
    return {
        (number // 12, index): x.tolist()
        for number, (index, x) in enumerate(
            (index.item(), x) for batch in found for index, x in zip(batch["id"], batch["x"])
        )
    }


def test_seeded_samples_depend_neither_on_workers_nor_on_batches_and_move_no_stream(runs):
    before = torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()
    whole = noise(seeded(runs))
    after = torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()
    assert after == before
    assert len({tuple(x) for x in whole.values()}) == 24, "each differs, in the next epoch too"
    assert noise(seeded(runs, workers=2)) == whole
    assert noise(seeded(runs, batch_size=5)) == whole


@pytest.mark.parametrize("workers", [0, 2])
def test_seeded_samples_are_the_same_after_a_resume_with_another_number_of_workers(runs, workers):
    whole = [batch["x"].tolist() for batch in seeded(runs)]
    first = seeded(runs, workers=2 - workers)
    head = next(iter(first))["x"].tolist()
    again = seeded(runs, workers)
    again.load_state_dict(first.state_dict())
    assert [head] + [batch["x"].tolist() for batch in again] == whole


def test_what_collates_may_draw_as_well_where_samples_are_seeded(runs):
    def draw(workers):
        loader = DataLoader(
            range(6), 2, num_workers=workers, collate_fn=lambda _: torch.rand(1).item()
        )
        return list(ResumableLoader(loader, seed=0, seed_samples=True))

    numbers = draw(0)
    assert len(set(numbers)) == 3
    assert draw(1) == numbers
