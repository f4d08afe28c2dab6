"""How long a command takes to start, and to list many checkpoints.

Run it with ``make bench`` or ``python benchmarks/checkpoint_list.py --counts 250 1000 4000``. Each figure
is the median of a few rounds in which every contender takes its turn, so that a noisy machine is noisy
for all. The limit is a bare interpreter that imports click and prints a line; the peer is ``hf --help``.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Dict, List

import huggingface_hub
import torch

from hfl_checkpoint import CheckpointManager, __version__
from hfl_checkpoint._manifest import read_manifest

BARE = "import click; click.echo('hello')"


def build(run: Path, count: int) -> None:
    """Make a run: one real checkpoint, and the manifests of all others."""
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    with CheckpointManager(run, background=False) as checkpoints:
        first = checkpoints.save(
            1, epoch=0, metrics={"loss": 1.0, "acc": 0.5}, model=model, optimizer=optimizer
        )
    manifest = read_manifest(first.path)  # type: ignore[union-attr]  # not in the background
    for step in range(2, count + 1):
        path = run / f"step-{step:08d}"
        path.mkdir()
        one = dataclasses.replace(
            manifest,
            step=step,
            sequence=step,
            name=path.name,
            metrics={"loss": 1 / step, "acc": step / count},
        )
        (path / "manifest.json").write_bytes(one.to_bytes())


def timed(command: List[str]) -> float:
    """Time one process, in seconds."""
    begin = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[250, 1000, 4000])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    scripts = Path(sys.executable).parent
    contenders: Dict[str, List[str]] = {
        "interpreter + click (limit)": [sys.executable, "-c", BARE],
        "hfl --help": [str(scripts / "hfl"), "--help"],
        "hfl checkpoint --help": [str(scripts / "hfl"), "checkpoint", "--help"],
    }
    if shutil.which(str(scripts / "hf")):
        contenders["hf --help (peer)"] = [str(scripts / "hf"), "--help"]
    with tempfile.TemporaryDirectory() as folder:
        for count in options.counts:
            run = Path(folder) / str(count)
            build(run, count)
            contenders[f"hfl checkpoint list, {count:,} checkpoints"] = [
                str(scripts / "hfl"),
                "checkpoint",
                "list",
                str(run),
            ]
        times: Dict[str, List[float]] = {name: [] for name in contenders}
        for _ in range(options.rounds + 1):  # the first round warms the page cache
            for name, command in contenders.items():
                times[name].append(timed(command))
    limit = statistics.median(times["interpreter + click (limit)"][1:])
    print(
        f"hfl {__version__}, huggingface_hub {huggingface_hub.__version__}, click "
        f"{metadata.version('click')}, Python {platform.python_version()}"
    )
    print(f"{'command':44} {'seconds':>8} {'x limit':>8}")
    for name, found in times.items():
        median = statistics.median(found[1:])
        print(f"{name:44} {median:8.3f} {median / limit:8.1f}")


if __name__ == "__main__":
    main()
