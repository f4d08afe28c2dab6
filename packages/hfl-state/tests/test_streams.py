"""Loaders and datasets that keep a state of their own."""

from __future__ import annotations

import random

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset

from hfl_core import ConfigError, IncompatibleStateError
from hfl_state import ResumableLoader, ShuffleBuffer, TrainingState

# torchdata calls what a newer torch has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")
LENGTH = 23


class Counting(IterableDataset):
    """A stream that tells where it stands, in an order that depends on the epoch."""

    def __init__(self, length=LENGTH, shards=1):
        self.length, self.shards = length, shards
        self.at = 0
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # for persistent workers

    @property
    def epoch(self):
        return int(self._epoch)

    def set_epoch(self, epoch):
        self._epoch.fill_(epoch)

    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        offset, stride = (info.id, info.num_workers) if info else (0, 1)
        while offset + self.at * stride < self.length:
            number = offset + self.at * stride
            self.at += 1
            yield {
                "id": torch.tensor((number * 7 + self.epoch) % self.length),
                "noise": torch.rand(1),
            }
        self.at = 0

    def state_dict(self):
        return {"at": self.at, "epoch": self.epoch}

    def load_state_dict(self, state):
        self.at = state["at"]
        self.set_epoch(state["epoch"])


class Noisy(Dataset):
    def __len__(self):
        return LENGTH

    def __getitem__(self, index):
        return {"id": torch.tensor(index), "noise": torch.rand(1) + random.random()}


def streaming(buffer=0):
    import datasets

    rows = datasets.Dataset.from_dict({"id": list(range(LENGTH))})
    stream = rows.to_iterable_dataset(num_shards=3)
    return ShuffleBuffer(stream, buffer) if buffer else stream


def stateful(dataset, **options):
    from torchdata.stateful_dataloader import StatefulDataLoader

    return StatefulDataLoader(dataset, batch_size=4, **options)


def sharded():
    sampler = DistributedSampler(range(LENGTH), num_replicas=2, rank=1)
    return stateful(Noisy(), sampler=sampler)


LOADERS = {
    "stream": lambda: DataLoader(Counting(), batch_size=4),
    "stream, buffered": lambda: DataLoader(ShuffleBuffer(Counting(), 6), batch_size=4),
    "datasets": lambda: DataLoader(streaming(), batch_size=4),
    "datasets, buffered": lambda: DataLoader(streaming(7), batch_size=4, drop_last=True),
    "stateful": lambda: stateful(Noisy(), shuffle=True),
    "stateful, generator": lambda: stateful(
        Noisy(), shuffle=True, generator=torch.Generator().manual_seed(5)
    ),
    "stateful, distributed": sharded,
    "stateful, stream": lambda: stateful(Counting()),
    "stateful, datasets, buffered": lambda: stateful(streaming(7)),
    "stateful, workers": lambda: stateful(Plain(), shuffle=True, num_workers=2),
    "stateful, stream, workers": lambda: stateful(
        PlainCounting(), num_workers=2, persistent_workers=True
    ),
}


class Plain(Noisy):
    def __getitem__(self, index):
        return {"id": torch.tensor(index)}


class PlainCounting(Counting):
    def __iter__(self):
        for sample in super().__iter__():
            yield {"id": sample["id"]}


def build(name, seed=3):
    torch.manual_seed(0)  # for the initial weights, as every start of a script would
    model = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Dropout(0.5))
    return TrainingState(model=model, loader=LOADERS[name](), seed=seed)


def train(state, seen, until=None, epochs=3):
    for batch in state.batches(epochs=epochs):
        noise = batch["noise"].flatten().tolist() if "noise" in batch else []
        seen.append((batch["id"].tolist(), noise, state.model(torch.ones(1, 1)).sum().item()))
        if state.batch == until:
            return state.state_dict()
    return state.state_dict()


@pytest.mark.parametrize("name", list(LOADERS))
def test_resumes_at_any_batch_are_exact(runs, name):
    whole = []
    assert train(build(name), whole)["progress"]["epoch"] == 3
    per_epoch = len(whole) // 3
    state, seen = build(name), []
    for until in (1, per_epoch, per_epoch + 2, 2 * per_epoch - 1):
        saved = runs.through_bytes(train(state, seen, until))
        state = build(name, seed=99)
        state.load_state_dict(saved)
    train(state, seen)
    assert [ids for ids, _, _ in seen] == [ids for ids, _, _ in whole]
    assert seen == whole


@pytest.mark.parametrize("name", ["stream, buffered", "datasets, buffered", "stateful"])
def test_every_epoch_has_every_sample_once_in_an_order_of_its_own(name):
    seen = []
    state = build(name)
    train(state, seen, epochs=2)
    half = len(seen) // 2
    epochs = [[i for ids, _, _ in part for i in ids] for part in (seen[:half], seen[half:])]
    for epoch in epochs:
        assert len(set(epoch)) == len(epoch) >= LENGTH - 3  # one drops the last, incomplete batch
        assert epoch != sorted(epoch)
    assert epochs[0] != epochs[1]


def test_leaving_a_loop_over_a_stream_goes_on_with_the_next_batch():
    loader = ResumableLoader(DataLoader(Counting(), batch_size=5), seed=0)
    for batch in loader:
        first = batch["id"].tolist()
        break
    rest = [i for batch in loader for i in batch["id"].tolist()]
    assert sorted(first + rest) == list(range(LENGTH))
    assert loader.epoch == 1
    assert loader.last_batch_size == LENGTH % 5


@pytest.mark.parametrize("point", range(1, 20, 2))
@pytest.mark.parametrize("size", [1, 5, 100])
def test_a_shuffle_buffer_loses_and_repeats_nothing_wherever_it_is_resumed(size, point):
    whole = [s["id"].item() for s in ShuffleBuffer(Counting(), size, seed=1)]
    iterator = iter(ShuffleBuffer(Counting(), size, seed=1))
    buffer = ShuffleBuffer(Counting(), size, seed=1)
    iterator = iter(buffer)
    head = [next(iterator)["id"].item() for _ in range(point)]
    for _ in range(2):
        saved = buffer.state_dict()
        buffer = ShuffleBuffer(Counting(), size, seed=1)
        buffer.load_state_dict(saved)
        iterator = iter(buffer)
        head.append(next(iterator)["id"].item())
    assert head + [s["id"].item() for s in iterator] == whole
    assert sorted(whole) == list(range(LENGTH))
    assert [s["id"].item() for s in buffer] == whole, "the next iteration begins anew"


def test_a_shuffle_buffer_of_another_size_refuses_the_state():
    saved = ShuffleBuffer(Counting(), 5).state_dict()
    with pytest.raises(IncompatibleStateError, match="size is 5, here it is 6"):
        ShuffleBuffer(Counting(), 6).load_state_dict(saved)
    with pytest.raises(IncompatibleStateError, match="no 'buffer'"):
        ShuffleBuffer(Counting(), 5).load_state_dict(
            {"format": 1, "epoch": 0, "size": 5, "seed": 0}
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((Counting(), 0), "size=0"), ((range(3), 2), "range keeps no state")],
)
def test_a_shuffle_buffer_that_could_not_be_resumed_is_refused(arguments, words):
    with pytest.raises(ConfigError, match=words):
        ShuffleBuffer(*arguments)


@pytest.mark.parametrize("wrap", [lambda d: DataLoader(d, batch_size=4), stateful])
def test_a_stream_that_loses_its_shuffle_buffer_is_refused_or_said_to_lose(wrap, caplog):
    lossy = streaming().shuffle(seed=0, buffer_size=6).map(lambda sample: sample)
    with pytest.raises(ConfigError, match="Shuffled.*lose the samples") as caught:
        ResumableLoader(wrap(lossy))
    assert "ShuffleBuffer" in caught.value.hint
    with pytest.raises(ConfigError, match="has a shuffle buffer already"):
        ShuffleBuffer(lossy, 4)
    loader = ResumableLoader(wrap(lossy), exact=False)
    next(iter(loader))
    assert "lost" not in caplog.text
    again = ResumableLoader(wrap(lossy), exact=False)
    again.load_state_dict(loader.state_dict())
    next(iter(again))
    assert "are lost" in caplog.text


def test_a_position_in_a_stream_is_refused_by_a_map_style_loader_and_the_other_way_round():
    stream = ResumableLoader(DataLoader(Counting(), batch_size=4))
    plain = ResumableLoader(DataLoader(range(LENGTH), batch_size=4))
    next(iter(stream))
    with pytest.raises(
        IncompatibleStateError, match="kind of loader was 'stream' and is 'map' now"
    ):
        plain.load_state_dict(stream.state_dict())
    saved = {**stream.state_dict(), "inner": None}
    with pytest.raises(IncompatibleStateError, match="no state of the dataset"):
        stream.load_state_dict(saved)
    with pytest.raises(IncompatibleStateError, match="each process's own"):
        stream.load_state_dict({**stream.state_dict(), "world_size": 2})
    assert "StatefulDataLoader" in repr(ResumableLoader(stateful(range(8))))
    assert len(ResumableLoader(stateful(range(8)))) == 2


def test_another_batch_size_goes_on_in_a_stream_without_a_gap():
    first = ResumableLoader(DataLoader(Counting(), batch_size=4), seed=0)
    head = next(iter(first))["id"].tolist()
    other = ResumableLoader(DataLoader(Counting(), batch_size=3), on_change="override")
    other.load_state_dict(first.state_dict())
    rest = [i for batch in other for i in batch["id"].tolist()]
    assert sorted(head + rest) == list(range(LENGTH))


def test_seeding_samples_one_by_one_is_refused_where_nobody_knows_their_index():
    with pytest.raises(ConfigError, match="seeded one by one"):
        ResumableLoader(DataLoader(Counting()), seed_samples=True)


def test_workers_whose_streams_are_not_saved_are_named_in_the_log(caplog):
    def make():
        return ResumableLoader(stateful(Plain(), num_workers=1), seed=0)

    loader = make()
    for _ in loader:
        if loader.batch == 2:
            break
    again = make()
    again.load_state_dict(loader.state_dict())
    assert sum(len(batch["id"]) for batch in again) == LENGTH - 8
    assert "streams of the workers" in caplog.text


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        (torch.zeros(3, 2), 3),
        ({"a": "x", "b": [torch.zeros(2), torch.zeros(5)]}, 2),
        (["x", "y"], 2),
        ("text", 4),
        (torch.zeros(()), 4),
    ],
)
def test_samples_are_counted_by_the_first_tensor_of_a_batch(batch, size):
    from hfl_state._batch_size import count_samples

    assert count_samples(batch, 4) == size
    assert count_samples(object(), None) == 1
