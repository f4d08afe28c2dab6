from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    get_worker_info,
)

from hfl_core import ConfigError, IncompatibleStateError
from hfl_state import ResumableLoader


def rows(loader):
    return [batch.tolist() for batch in loader]


def test_it_yields_what_the_plain_loader_does_when_nothing_is_random():
    plain = DataLoader(range(10), batch_size=4)
    assert rows(ResumableLoader(plain)) == rows(plain)
    dropping = DataLoader(range(10), batch_size=4, drop_last=True)
    assert rows(ResumableLoader(dropping)) == rows(dropping)
    assert len(ResumableLoader(dropping)) == len(dropping) == 2


def test_a_loop_goes_through_the_rest_of_the_epoch_and_the_next_loop_through_the_next():
    loader = ResumableLoader(DataLoader(range(6), batch_size=2))
    for batch in loader:
        assert batch.tolist() == [0, 1]
        break
    assert (loader.epoch, loader.batch) == (0, 1)
    assert rows(loader) == [[2, 3], [4, 5]]
    assert (loader.epoch, loader.batch) == (1, 0)
    assert rows(loader) == [[0, 1], [2, 3], [4, 5]]
    assert len(loader) == 3


@pytest.mark.parametrize("persistent", [False, True])
def test_leaving_a_loop_with_workers_counts_no_prefetched_batch(persistent):
    loader = ResumableLoader(
        DataLoader(range(20), batch_size=2, num_workers=2, persistent_workers=persistent)
    )
    next(iter(loader))
    assert loader.state_dict()["batch"] == 1
    assert rows(loader) == [[i, i + 1] for i in range(2, 20, 2)]


class Reads:
    def __init__(self, length):
        self.length = length
        self.seen = []

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        self.seen.append(index)
        return index


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_resume_reads_no_sample_that_was_handed_out(shuffle):
    first = ResumableLoader(DataLoader(range(100), batch_size=5, shuffle=shuffle), seed=3)
    order = [i for batch in first for i in batch.tolist()]
    first = ResumableLoader(DataLoader(range(100), batch_size=5, shuffle=shuffle), seed=3)
    for _ in first:
        if first.batch == 18:
            break
    dataset = Reads(100)
    again = ResumableLoader(DataLoader(dataset, batch_size=5, shuffle=shuffle))
    again.load_state_dict(first.state_dict())
    list(again)
    assert dataset.seen == order[90:]


def global_streams():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "sampler", ["sequential", "shuffle", "weighted", "subset", "batch_sampler"]
)
def test_the_loader_moves_no_global_stream(runs, sampler, workers):
    plain = runs.loader(sampler, workers)
    loader = ResumableLoader(
        DataLoader(range(12), batch_sampler=plain.batch_sampler, num_workers=workers)
    )
    before = global_streams()
    list(loader)
    loader.load_state_dict(loader.state_dict())
    assert global_streams() == before


def test_it_neither_uses_nor_moves_the_generators_of_the_samplers():
    generators = [torch.Generator(), np.random.default_rng(1), random.Random(2)]
    generators.append(np.random.RandomState(3))

    class Drawing(Sampler):
        def __init__(self):
            self.torch, self.numpy, self.python, self.legacy = generators

        def __iter__(self):
            order = torch.randperm(8, generator=self.torch).tolist()
            order += [self.numpy.integers(8), self.python.randrange(8), self.legacy.randint(8)]
            return iter([int(i) for i in order])

        def __len__(self):
            return 11

    def build():
        return ResumableLoader(DataLoader(range(8), batch_size=3, sampler=Drawing()), seed=5)

    epochs = [rows(loader) for loader in [build()] for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert generators[0].get_state().tolist() == torch.Generator().get_state().tolist()
    assert generators[1].bit_generator.state == np.random.default_rng(1).bit_generator.state
    assert generators[2].getstate() == random.Random(2).getstate()
    assert generators[3].get_state()[1].tolist() == np.random.RandomState(3).get_state()[1].tolist()
    for generator in generators[1:3]:
        generator.random()
    again = build()
    assert [rows(again) for _ in range(3)] == epochs


def test_a_generator_given_to_the_plain_loader_decides_on_the_order():
    def order(seed):
        generator = torch.Generator().manual_seed(seed)
        loader = DataLoader(range(32), batch_size=32, shuffle=True, generator=generator)
        return rows(ResumableLoader(loader))

    torch.manual_seed(1)
    first = order(5)
    torch.manual_seed(2)
    assert order(5) == first != order(6)


def test_without_any_seed_the_order_follows_from_the_initial_seed_of_torch():
    torch.manual_seed(11)
    torch.rand(3)
    loader = ResumableLoader(DataLoader(range(4)))
    assert loader.seed == 11


def test_a_sampler_with_epochs_is_told_the_epoch():
    def order(epochs):
        sampler = DistributedSampler(range(10), num_replicas=2, rank=1, seed=4)
        loader = ResumableLoader(DataLoader(range(10), batch_size=2, sampler=sampler))
        return [rows(loader) for _ in range(epochs)]

    sampler = DistributedSampler(range(10), num_replicas=2, rank=1, seed=4)
    plain = DataLoader(range(10), batch_size=2, sampler=sampler)
    expected = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        expected.append(rows(plain))
    assert order(3) == expected


def test_a_batch_sampler_that_yields_one_list_again_and_again_is_copied():
    class Reusing:
        def __iter__(self):
            batch = []
            for i in range(6):
                batch.append(i)
                if len(batch) == 2:
                    yield batch
                    batch.clear()

        def __len__(self):
            return 3

    loader = ResumableLoader(DataLoader(range(6), batch_sampler=Reusing()))
    assert rows(loader) == [[0, 1], [2, 3], [4, 5]]


def test_keys_need_not_be_numbers():
    data = {"a": 1, "b": 2, "c": 3}
    loader = ResumableLoader(DataLoader(data, batch_size=2, sampler=["c", "a", "b"]))
    assert rows(loader) == [[3, 1], [2]]


def test_sampling_with_replacement_is_resumed_too():
    def build():
        sampler = RandomSampler(range(5), replacement=True, num_samples=40)
        return ResumableLoader(DataLoader(range(5), batch_size=8, sampler=sampler), seed=0)

    loader = build()
    whole = rows(loader)
    loader = build()
    iterator = iter(loader)
    head = [next(iterator).tolist() for _ in range(2)]
    again = build()
    again.load_state_dict(loader.state_dict())
    assert head + rows(again) == whole


class WorkerFacts:
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return type(get_worker_info().dataset).__name__, torch.rand(1).item()


def test_workers_see_the_dataset_itself_and_a_seed_per_batch():
    loader = ResumableLoader(
        DataLoader(WorkerFacts(), batch_size=2, num_workers=2, collate_fn=list), seed=1
    )
    first, second = list(loader), list(loader)
    assert {name for batch in first for name, _ in batch} == {"WorkerFacts"}
    numbers = [number for batch in first + second for _, number in batch]
    assert len(set(numbers)) == len(numbers)


def loop_twice(loader):
    first = iter(loader)
    next(first)
    second = iter(loader)
    next(second)
    next(first)


def test_two_loops_at_once_are_refused():
    with pytest.raises(ConfigError, match="one position only"):
        loop_twice(ResumableLoader(DataLoader(range(6))))


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(3))


class CountingStream(IterableDataset):
    def __iter__(self):
        return iter(range(3))

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class Moving(DataLoader):
    def __iter__(self):
        return super().__iter__()


class MovingStream(Moving):
    pass


class Endless:
    def __iter__(self):
        while True:
            yield 0

    def __len__(self):
        return 4


class Lengthless:
    def __iter__(self):
        return iter([0, 1])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: [1, 2], "list is not a torch DataLoader"),
        (lambda: DataLoader(Stream()), "IterableDataset"),
        (lambda: DataLoader(range(3), batch_size=None), "batch_size=None"),
        (lambda: DataLoader(CountingStream(), num_workers=1), "known to nobody but them"),
        (lambda: MovingStream(CountingStream()), "overrides __iter__"),
        (lambda: Moving(range(3)), "overrides __iter__"),
    ],
)
def test_a_loader_whose_position_cannot_be_known_is_refused_with_advice(build, words):
    with pytest.raises(ConfigError, match=words) as caught:
        ResumableLoader(build())
    assert caught.value.hint


def test_batches_out_of_order_are_refused():
    loader = DataLoader(range(3))
    loader.in_order = False  # older versions of torch know no such argument
    with pytest.raises(ConfigError, match="in_order"):
        ResumableLoader(loader)


@pytest.mark.parametrize(
    ("sampler", "words"),
    [(Endless(), "without an end"), (Lengthless(), "has no length")],
)
def test_a_sampler_that_may_never_end_is_refused(sampler, words):
    loader = ResumableLoader(DataLoader(range(3), sampler=sampler))
    with pytest.raises(ConfigError, match=words):
        next(iter(loader))


def test_a_sampler_that_remembers_earlier_iterations_is_refused_before_the_first_batch():
    class Remembering(Sampler):
        def __init__(self):
            self.rounds = 0

        def __iter__(self):
            self.rounds += 1
            return iter([(i + self.rounds) % 6 for i in range(6)])

        def __len__(self):
            return 6

    loader = ResumableLoader(DataLoader(range(6), sampler=Remembering()))
    with pytest.raises(ConfigError, match="Remembering gives another order"):
        next(iter(loader))


def position(loader, batches=1):
    for _, _ in zip(range(batches), loader):
        pass
    return loader.state_dict()


def build(length=12, batch_size=2, **options):
    return ResumableLoader(DataLoader(range(length), batch_size=batch_size, **options), seed=0)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: build(length=13), "dataset length was 12 and is 13 now"),
        (lambda: build(batch_size=3), "batch size was 2 and is 3 now"),
        (lambda: build(drop_last=True), "drop last was False and is True now"),
        (lambda: build(shuffle=True), "sampler was 'SequentialSampler' and is 'RandomSampler' now"),
    ],
)
def test_a_loader_of_another_shape_refuses_the_position_and_keeps_its_own(other, words):
    loader = other()
    before = position(loader, 2)
    with pytest.raises(IncompatibleStateError, match=words):
        loader.load_state_dict(position(build()))
    assert loader.state_dict() == before


@pytest.mark.parametrize("field", ["world_size", "rank"])
def test_another_world_size_or_rank_is_refused_by_name(field):
    saved = {**position(build()), field: 5}
    with pytest.raises(IncompatibleStateError, match=f"{field.replace('_', ' ')} was 5 and is"):
        build().load_state_dict(saved)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format is 2"),
        ({"batch": 6}, "batch is 6, but an epoch has 6"),
        ({"batch": -1}, "'batch' is -1"),
        ({"epoch": "1"}, "'epoch' is a str"),
        ({"epoch": True}, "'epoch' is a bool"),
        ({"order": "0" * 32}, "gives other batches for epoch 0"),
    ],
)
def test_a_damaged_position_is_refused(change, words):
    with pytest.raises(IncompatibleStateError, match=words):
        build().load_state_dict({**position(build()), **change})


def test_a_position_with_parts_missing_or_no_mapping_is_refused():
    saved = position(build())
    del saved["seed"]
    with pytest.raises(IncompatibleStateError, match="no 'seed'"):
        build().load_state_dict(saved)
    with pytest.raises(IncompatibleStateError, match="is a list"):
        build().load_state_dict([1])


def test_a_sampler_that_became_another_is_noticed_though_its_class_is_the_same(runs):
    def subset(indices):
        sampler = torch.utils.data.SubsetRandomSampler(indices)
        return ResumableLoader(DataLoader(range(12), batch_size=2, sampler=sampler), seed=0)

    saved = position(subset(range(6)))
    subset(range(6)).load_state_dict(saved)
    with pytest.raises(IncompatibleStateError, match="other batches"):
        subset(range(1, 7)).load_state_dict(saved)


def test_changing_the_seed_or_to_workers_is_said_in_the_log(caplog):
    saved = position(build(shuffle=True))
    loader = ResumableLoader(
        DataLoader(range(12), batch_size=2, shuffle=True, num_workers=2), seed=1
    )
    loader.load_state_dict(saved)
    assert "goes on with the saved seed 0, not with 1" in caplog.text
    assert "random augmentations are not" in caplog.text
    assert loader.seed == 0


def test_a_large_permutation_is_fingerprinted_by_its_ends_and_still_told_apart():
    loaders = [
        ResumableLoader(DataLoader(range(1000), shuffle=True), seed=seed) for seed in (0, 0, 1)
    ]
    first, same, other = (position(loader)["order"] for loader in loaders)
    assert first == same != other


def test_a_nested_batch_sampler_of_the_users_is_resumable():
    class Doubling(BatchSampler):
        def __iter__(self):
            for batch in super().__iter__():
                yield batch + batch

    def make():
        sampler = Doubling(RandomSampler(range(8)), 2, False)
        return ResumableLoader(DataLoader(range(8), batch_sampler=sampler), seed=2)

    whole = rows(make())
    loader = make()
    saved = position(loader, 2)
    again = make()
    again.load_state_dict(saved)
    assert rows(again) == whole[2:]
    assert "Doubling/RandomSampler" in repr(again)
    assert again.batch_size is None
    assert len(again.dataset) == 8


class Batched:
    """As the datasets of Hugging Face do: it fetches a whole batch, by a list and nothing else."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        raise AssertionError("not one by one")

    def __getitems__(self, indices):
        return [[index, torch.rand(1).item(), type(indices) is list] for index in indices]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_dataset_that_fetches_whole_batches_gets_a_plain_list(workers):
    def make():
        loader = DataLoader(Batched(), batch_size=2, num_workers=workers, collate_fn=list)
        return ResumableLoader(loader, seed=0)

    torch.manual_seed(0)
    whole = list(make())
    assert [[index for index, _, _ in batch] for batch in whole] == [[0, 1], [2, 3], [4, 5]]
    assert all(is_list for batch in whole for _, _, is_list in batch)
    if workers:
        loader = make()
        next(iter(loader))
        assert list(loader) == whole[1:], "the rest of the epoch draws the same numbers"


def test_saving_digests_the_order_of_an_epoch_once(runs):
    loader = ResumableLoader(runs.loader("weighted"), seed=0)
    iterator = iter(loader)
    next(iterator)
    first = loader.state_dict()["order"]
    next(iterator)
    assert loader.state_dict()["order"] == first
    list(iterator)
    assert loader.state_dict()["order"] is None
    next(iter(loader))
    assert loader.state_dict()["order"] not in (None, first)
