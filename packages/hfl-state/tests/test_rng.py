from __future__ import annotations

import base64
import json
import random

import numpy as np
import pytest
import torch

from hfl_core import ConfigError, IncompatibleStateError
from hfl_state import RngState


def streams():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


def test_all_global_streams_go_on_exactly_left_over_gaussians_included(runs):
    rng = RngState()
    random.gauss(0, 1)
    np.random.randn()
    torch.randn(1)
    saved = runs.through_bytes(rng.state_dict())
    expected = [random.gauss(0, 1), np.random.randn(), torch.randn(3).tolist(), *runs.draws()]
    runs.draws()
    rng.load_state_dict(saved)
    assert [
        random.gauss(0, 1),
        np.random.randn(),
        torch.randn(3).tolist(),
        *runs.draws(),
    ] == expected


def test_reading_the_state_draws_nothing():
    before = streams()
    rng = RngState({"own": np.random.default_rng(0)})
    rng.check(rng.state_dict())
    assert streams() == before


def test_the_initial_seed_of_torch_comes_back_with_its_stream():
    torch.manual_seed(123)
    saved = RngState().state_dict()
    torch.manual_seed(4)
    RngState().load_state_dict(saved)
    assert torch.initial_seed() == 123


def test_the_state_is_made_of_text_and_numbers_and_fits_into_one_json_file(runs):
    generators = {
        "pcg": np.random.default_rng(0),
        "sfc": np.random.Generator(np.random.SFC64(0)),
        "philox": np.random.Generator(np.random.Philox(0)),
        "torch": torch.Generator(),
    }
    rng = RngState(generators)
    runs.draws()
    saved = rng.state_dict()
    assert json.loads(json.dumps(saved)) == saved
    rng.load_state_dict(json.loads(json.dumps(saved)))


def make_generators():
    return {
        "pcg": np.random.default_rng(1),
        "mt": np.random.Generator(np.random.MT19937(2)),
        "sfc": np.random.Generator(np.random.SFC64(3)),
        "philox": np.random.Generator(np.random.Philox(4)),
        "legacy": np.random.RandomState(5),
        "python": random.Random(6),
        "torch": torch.Generator().manual_seed(7),
    }


def draw(generators):
    drawn = [generators[name].random() for name in ("pcg", "mt", "sfc", "philox", "python")]
    drawn.append(generators["legacy"].randn())
    return [*drawn, torch.rand(1, generator=generators["torch"]).item()]


def test_registered_generators_go_on_exactly(runs):
    generators = make_generators()
    draw(generators)
    saved = runs.through_bytes(RngState(generators).state_dict())
    expected = [draw(generators), draw(generators)]
    others = make_generators()
    RngState(others).load_state_dict(saved)
    assert [draw(others), draw(others)] == expected


@pytest.mark.parametrize("generator", [object(), random.SystemRandom(), 3])
def test_what_is_no_generator_cannot_be_registered(generator):
    with pytest.raises(ConfigError, match="not a random generator"):
        RngState({"own": generator})


def damaged(change):
    saved = RngState({"own": np.random.default_rng(0)}).state_dict()
    change(saved)
    return saved


def set_words(saved):
    words = bytes(4 * 624) + b"\xff\xff\xff\x7f"  # a position far behind the end
    saved["python"]["words"] = "base64:" + base64.b64encode(words).decode()


def set_zeros(saved):
    size = len(base64.b64decode(saved["torch"][len("base64:") :]))
    saved["torch"] = "base64:" + base64.b64encode(bytes(size)).decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.update(format=9), "format is 9"),
        (lambda s: s.update(cuda=["x"] * 64), r"saved with 64 CUDA device\(s\), here there are"),
        (lambda s: s.update(xpu=["x"] * 64), "64 XPU"),
        (lambda s: s.update(torch="base64:AAAA"), "state of torch has another size"),
        (set_zeros, "state of torch is not valid"),
        (lambda s: s.update(torch="base64:" + "!" * (len(s["torch"]) - 7)), "torch is not valid"),
        (lambda s: s["numpy"].update(bit_generator="PCG64"), "was 'PCG64' and is 'MT19937' now"),
        (lambda s: s["numpy"].update(gauss="0"), "numpy/gauss is not a number"),
        (lambda s: s["numpy"].pop("state"), "state of numpy is of another kind"),
        (set_words, "state of python is not valid"),
        (lambda s: s["generators"].pop("own"), "no generator 'own'"),
        (lambda s: s["generators"].update(more={}), "'more' is not registered"),
        (lambda s: s["generators"]["own"].update(kind="torch"), "'own'/kind was 'torch'"),
        (
            lambda s: s["generators"]["own"]["state"].update(state=-1),
            "'own'/state/state is not a count",
        ),
        (lambda s: s["generators"]["own"]["state"].update(state=2**128), "'own' is not valid"),
    ],
)
def test_a_state_that_does_not_fit_moves_no_stream(change, words):
    own = np.random.default_rng(0)
    rng = RngState({"own": own})
    before, own_before = streams(), own.bit_generator.state
    with pytest.raises(IncompatibleStateError, match=words):
        rng.load_state_dict(damaged(change))
    assert streams() == before
    assert own.bit_generator.state == own_before


def test_it_is_saved_per_rank_and_restored_last():
    assert RngState.per_rank
    assert RngState.restore_last


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_streams_go_on_exactly(runs):
    rng = RngState()
    torch.rand(3, device="cuda")
    saved = runs.through_bytes(rng.state_dict())
    expected = torch.rand(3, device="cuda").tolist()
    rng.load_state_dict(saved)
    assert torch.rand(3, device="cuda").tolist() == expected
