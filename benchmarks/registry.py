"""What publishing costs beside `save_pretrained`, and how long a validation takes.

Run it with ``make bench`` or ``python benchmarks/registry.py --parameters 100000000``. The goal for 100
million parameters on two cores is a validation in less than 30 seconds; publishing may read the weights once
more than ``save_pretrained``, and hold no second copy of them beyond one file.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Callable

import torch
import transformers

from hfl_localhub import LocalHub
from hfl_registry import ModelRegistry


def build(parameters: int) -> transformers.GPT2LMHeadModel:
    """Make a language model of about that size; most of it is in its blocks."""
    width = 768 if parameters >= 20_000_000 else 128
    vocabulary = 32_000 if parameters >= 60_000_000 else 1_000
    layers = max(1, (parameters - vocabulary * width) // (12 * width * width))
    config = transformers.GPT2Config(
        vocab_size=vocabulary, n_positions=64, n_embd=width, n_layer=layers, n_head=8
    )
    return transformers.GPT2LMHeadModel(config)


def timed(name: str, work: Callable[[], object]) -> float:
    """Run something, and print how long it took and by how much the peak of the memory rose."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    work()
    spent = time.perf_counter() - began
    risen = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{name:34} {spent:8.2f} s   peak memory +{risen:,.0f} MiB")
    return spent


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=int, default=5_000_000)
    wanted = parser.parse_args().parameters
    torch.manual_seed(0)
    model = build(wanted).eval()
    count = sum(each.numel() for each in model.parameters())
    print(f"{count / 1e6:.1f} million parameters, {count * 4 / 1e6:.0f} MB")
    registry = ModelRegistry()
    with tempfile.TemporaryDirectory() as name, LocalHub(Path(name) / "hub") as hub:
        os.environ.update(hub.settings(hub.create_user("ann")))
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        peer = timed("save_pretrained (peer)", lambda: model.save_pretrained(f"{name}/peer"))
        size = "100MB"
        sent = timed(
            "publish, not validated",
            lambda: registry.publish(model, "ann/bench", validate=False, max_shard_size=size),
        )
        print(f"{'  that is beyond the peer':34} {sent - peer:8.2f} s")
        timed("publish again, nothing changed",
              lambda: registry.publish(model, "ann/bench", validate=False, max_shard_size=size))  # fmt: skip
        timed("validate (goal: 30 s at 100 M)", lambda: registry.validate(model))


if __name__ == "__main__":
    main()
