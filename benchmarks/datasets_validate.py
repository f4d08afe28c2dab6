"""How fast a CSV file is validated, in how much memory, next to readers that only read it.

Run it with ``make bench`` or ``python benchmarks/datasets_validate.py --mib 2048``. The file is generated: whole numbers,
floating point numbers, short and long text with quoted commas. Every contender runs in a process of its own and takes its
turn in every round. The limit is pyarrow's streaming reader, which parses and forgets; the peer that people use today is
pandas in chunks, without any check. What counts for a busy machine is the processor time, which is shown beside the clock's.
"""

from __future__ import annotations

import argparse
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

_MEASURED = """
import json, resource, sys, time
{prepare}
begin, used = time.perf_counter(), time.process_time()
{work}
print(json.dumps([
    time.perf_counter() - begin,
    time.process_time() - used,
    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
]))
"""
CONTENDERS = {
    "pyarrow reads (limit)": (
        "from pyarrow import csv",
        "for batch in csv.open_csv(sys.argv[1], parse_options=csv.ParseOptions(newlines_in_values=True)): pass",
    ),
    "open_source reads": (
        "from hfl_datasets import open_source; import pyarrow.csv, pyarrow.compute",
        "for located in open_source(sys.argv[1]).splits['train'].files[0].read(): pass",
    ),
    "validate_dataset": (
        "from hfl_datasets import validate_dataset; import pyarrow.csv, pyarrow.compute",
        "validate_dataset(sys.argv[1])",
    ),
    "pandas reads in chunks": (
        "import pandas",
        "for chunk in pandas.read_csv(sys.argv[1], chunksize=100_000): pass",
    ),
}
_WORDS = np.array(
    [
        "the",
        "of",
        "and",
        "to",
        "in",
        "is",
        "you",
        "that",
        "it",
        "he",
        "was",
        "for",
        "on",
        "are",
        "as",
        "with",
        "his",
        "they",
        "at",
        "be",
    ]
)


def write(path: Path, mib: int) -> None:
    """Write a CSV file of about that size."""
    dice, row, size = np.random.default_rng(0), 0, 0
    with path.open("w", encoding="utf-8") as out:
        out.write("id,price,count,name,text,label\n")
        while size < mib * 2**20:
            count = 20_000
            prices, counts = dice.normal(100, 20, count).round(4), dice.integers(0, 1000, count)
            users, words = dice.integers(0, 10**6, count), dice.integers(
                0, len(_WORDS), (count, 10)
            )
            lines = [
                f'{row + n},{price},{some},user {user},"{" ".join(_WORDS[text])}, ok",{some % 3}\n'
                for n, (price, some, user, text) in enumerate(zip(prices, counts, users, words))
            ]
            row += count
            size += out.write("".join(lines))


def measure(prepare: str, work: str, path: Path) -> List[float]:
    """Run one contender in a process of its own: seconds, processor seconds, MiB at the peak."""
    code = _MEASURED.format(prepare=prepare, work=work)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True
    )
    found: List[float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{options.mib} MiB of CSV, {options.rounds} rounds.")
    versions = {name: metadata.version(name) for name in ("pyarrow", "pandas", "numpy")}
    print(f"Python {platform.python_version()}, {versions}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.csv")
        write(path, options.mib)
        megabytes = path.stat().st_size / 1e6
        found: Dict[str, List[List[float]]] = {name: [] for name in CONTENDERS}
        for _ in range(options.rounds):
            for name, (prepare, work) in CONTENDERS.items():
                found[name].append(measure(prepare, work, path))
    print(f"{'':26}{'MB/s':>8}{'MB per CPU second':>20}{'peak, MiB':>12}")
    for name, rounds in found.items():
        seconds, used, peak = (statistics.median(column) for column in zip(*rounds))
        print(f"{name:26}{megabytes / seconds:8.0f}{megabytes / used:20.0f}{peak:12.0f}")


if __name__ == "__main__":
    main()
