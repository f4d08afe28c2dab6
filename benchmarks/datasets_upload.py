"""What it takes to publish a CSV file, or a dataset that is loaded, beside ``push_to_hub`` of the datasets library.

Run it with ``make bench`` or ``python benchmarks/datasets_upload.py --mib 2048``. Both go to a local Hub, each in a process of
its own and to a repository of its own, in turn. ``push_to_hub`` converts and sends; an upload also computes statistics and a
digest of all rows in the same pass ("converted and sent"), and by default validates before, tries the example and reads all rows
back after ("everything"). What counts for a busy machine is the processor time, which is shown beside the clock's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Dict, List

import numpy as np

from hfl_localhub import LocalHub

_MEASURED = """
import json, resource, sys, time
import datasets, huggingface_hub, pyarrow.csv, pyarrow.compute, pyarrow.parquet
from hfl_datasets import DatasetManager
from hfl_datasets import _upload  # what is imported as it is needed is imported before the clock starts
datasets.disable_progress_bars()
path, saved, repo, cache = sys.argv[1:]
{prepare}
begin, used = time.perf_counter(), time.process_time()
{work}
print(json.dumps([
    time.perf_counter() - begin,
    time.process_time() - used,
    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
]))
"""
_BARE = "validate=False, example=False, verify=False"
_READ = 'datasets.load_dataset("csv", data_files=path, cache_dir=cache, split="train")'
_LOAD = "loaded = datasets.load_from_disk(saved)"
CONTENDERS = {
    "CSV: load_dataset + push_to_hub": ("", f"{_READ}.push_to_hub(repo)"),
    "CSV: converted and sent": ("", f"DatasetManager(repo).upload(path, {_BARE})"),
    "CSV: everything": ("", "DatasetManager(repo).upload(path)"),
    "Dataset: push_to_hub": (_LOAD, "loaded.push_to_hub(repo)"),
    "Dataset: converted and sent": (_LOAD, f"DatasetManager(repo).upload(loaded, {_BARE})"),
}
_WORDS = np.array(
    "the of and to in is you that it he was for on are as with his they at be".split()  # noqa: SIM905  # a text is easier to read
)
_SAVE = (
    "import datasets, sys; datasets.disable_progress_bars(); path, saved, cache = sys.argv[1:]; "
)
_NUMBERS = itertools.count()


def write(path: Path, mib: int) -> None:
    """Write a CSV file of about that size."""
    dice, row, size = np.random.default_rng(0), 0, 0
    with path.open("w", encoding="utf-8") as out:
        out.write("id,price,count,text,label\n")
        while size < mib * 2**20:
            count = 20_000
            prices, counts = dice.normal(100, 20, count).round(4), dice.integers(0, 1000, count)
            words = dice.integers(0, len(_WORDS), (count, 12))
            lines = [
                f"{row + n},{price},{some},{' '.join(_WORDS[text])},{some % 3}\n"
                for n, (price, some, text) in enumerate(zip(prices, counts, words))
            ]
            row += count
            size += out.write("".join(lines))


def run(code: str, environment: Dict[str, str], *arguments: str) -> str:
    """Run code in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    versions = {name: metadata.version(name) for name in ("datasets", "pyarrow", "huggingface-hub")}
    print(f"{options.mib} MiB of CSV, {options.rounds} rounds.")
    print(f"Python {platform.python_version()}, {versions}")
    found: Dict[str, List[List[float]]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, saved = folder / "data.csv", folder / "saved"
        write(path, options.mib)
        megabytes = path.stat().st_size / 1e6
        with LocalHub(folder / "hub") as hub:
            environment = hub.environment(hub.create_user("ann"))
            # With Xet a Hub would find that it has the other's rows.
            environment.update(HF_HUB_DISABLE_XET="1", XDG_CACHE_HOME=str(folder / "cache"))
            run(
                f"{_SAVE}{_READ}.save_to_disk(saved)",
                environment,
                str(path),
                str(saved),
                str(folder / "c"),
            )
            for _ in range(options.rounds):
                for who, (prepare, work) in CONTENDERS.items():
                    code = _MEASURED.format(prepare=prepare, work=work)
                    number = str(next(_NUMBERS))
                    cache = folder / "cache" / number
                    said = run(
                        code, environment, str(path), str(saved), f"ann/r{number}", str(cache)
                    )
                    found[who].append(json.loads(said.splitlines()[-1]))
    print(f"{'':34}{'seconds':>9}{'CPU s':>8}{'MB/s':>7}{'peak, MiB':>11}")
    for who, rounds in found.items():
        seconds, used, peak = (statistics.median(column) for column in zip(*rounds))
        print(f"{who:34}{seconds:9.2f}{used:8.2f}{megabytes / seconds:7.0f}{peak:11.0f}")


if __name__ == "__main__":
    main()
