from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler, RandomSampler

from hfl_state import ResumableLoader
from hfl_state._samples import Permutation, Samples

LARGE = 100_003  # no power of two, and above what is shuffled


@pytest.mark.parametrize("length", [1, 7, 65_536, 65_537, LARGE, 131_072])
def test_a_permutation_has_every_number_once(length):
    order = Permutation(length, seed=3).at(np.arange(length))
    assert np.array_equal(np.sort(order), np.arange(length))


def test_a_large_permutation_follows_from_its_seed_and_leaves_no_pattern():
    positions = np.arange(LARGE)
    first, same, other = (Permutation(LARGE, seed).at(positions) for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert (first == other).sum() < 30, "about one is expected of two random orders"
    for a, b in ((first, positions), (first[1:], first[:-1]), (first, other)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.02
    # Each tenth of the epoch has a tenth of each tenth of the samples.
    table = np.histogram2d(positions, first, bins=10)[0]
    assert abs(table - LARGE / 100).max() < 200


def test_a_position_of_an_endless_epoch_takes_no_memory():
    samples = Samples(10**15, Permutation(10**15, seed=0))
    cut = samples.cut(10**14, 10**14 + 4)
    assert samples.cut(10**14 + 2, 10**14 + 3) == cut[2:3]
    assert samples.cut(10**14, 10**14 + 4) == cut
    assert len(set(cut)) == 4
    assert all(0 <= sample < 10**15 for sample in cut)


def test_cuts_across_blocks_are_what_one_cut_is():
    whole = Samples(LARGE, Permutation(LARGE, seed=1)).cut(0, LARGE)
    samples = Samples(LARGE, Permutation(LARGE, seed=1))
    parts = [samples.cut(start, start + 997) for start in range(0, LARGE, 997)]
    assert [sample for part in parts for sample in part] == whole
    assert samples.cut(5, 8) == whole[5:8]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("length", [11, LARGE])
def test_a_small_distributed_order_is_torchs_and_a_large_one_is_shared_out_as_evenly(
    length, drop_last
):
    parts = []
    for rank in range(3):
        sampler = DistributedSampler(
            range(length), num_replicas=3, rank=rank, seed=4, drop_last=drop_last
        )
        loader = ResumableLoader(DataLoader(range(length), 1000, sampler=sampler))
        own = [i for batch in loader for i in batch.tolist()]
        assert len(own) == len(sampler)
        if length == 11:
            assert own == list(sampler)
        parts.append(own)
    everything = [i for part in parts for i in part]
    if drop_last:
        assert len(set(everything)) == len(everything) == length // 3 * 3
    else:
        assert set(everything) == set(range(length))


class Unread:
    """A dataset of which nothing may be read."""

    def __len__(self):
        return 3_300_000

    def __getitem__(self, index):
        raise AssertionError("a sample was read")


@pytest.mark.parametrize("shuffle", [False, True])
def test_going_back_to_batch_100_000_reads_no_sample_and_lists_no_order(shuffle, monkeypatch):
    def build():
        return ResumableLoader(DataLoader(Unread(), batch_size=32, shuffle=shuffle), seed=0)

    saved = {**build().state_dict(), "batch": 100_000}
    at = build()
    at._at.batch = 100_000
    saved["order"] = at.state_dict()["order"]

    def refuse(*_, **__):
        raise AssertionError("the order was listed")

    monkeypatch.setattr(torch, "randperm", refuse)
    monkeypatch.setattr(RandomSampler, "__iter__", refuse)
    loader = build()
    loader.load_state_dict(saved)
    assert (loader.batch, len(loader)) == (100_000, 103_125)
    with pytest.raises(AssertionError, match="a sample was read"):
        next(iter(loader))
