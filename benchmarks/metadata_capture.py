"""What a capture costs: the first one in a process, part by part, and every later one.

Run it with ``make bench`` or ``python benchmarks/metadata_capture.py --distributions 10000``. The first
capture of a process is timed in processes of their own, several of them, and the median counts; the goal is
300 ms with everything that is installed here. The limits beside the parts are what one cannot do without: one
``git status``, and reading the METADATA of every distribution. The peer is importlib.metadata, asked for
name and version.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List

COUNTS = ("installed", "bytes of JSON")

FIRST = """
import json, sys, time
sys.path.extend(sys.argv[1:])
began = time.perf_counter()
import hfl_metadata
hfl_metadata.capture
imported = time.perf_counter()
record = hfl_metadata.capture()
first = time.perf_counter()
for _ in range(100):
    hfl_metadata.capture()
again = (time.perf_counter() - first) / 100
text = record.to_json()
print(json.dumps({"import": imported - began, "first capture": first - imported,
    "every later one": again, "installed": len(record.packages), "bytes of JSON": len(text)}))
"""
PARTS = """
import importlib.metadata, json, pathlib, subprocess, sys, time
sys.path.extend(sys.argv[1:])
from hfl_metadata import _environment, _git, _gpu, _hardware, _lock_files, _packages
here = pathlib.Path.cwd()
def metadata_files():
    for place in sys.path:
        for path in pathlib.Path(place or ".").glob("*.dist-info/METADATA"):
            path.read_bytes()
parts = {
    "packages": _packages.read_packages,
    "  the files alone (limit)": metadata_files,
    "  importlib.metadata (peer)": lambda: [
        (d.metadata["Name"], d.version) for d in importlib.metadata.distributions()],
    "git": lambda: _git.read_git(here),
    "  git status alone (limit)": lambda: subprocess.run(
        ["git", "status", "--porcelain=v2", "--untracked-files=no"], capture_output=True),
    "processor and memory": lambda: (_hardware.read_cpu(), _hardware.read_memory()),
    "GPUs": _gpu.read_gpus,
    "system": _environment.read_platform,
    "lock files": lambda: _lock_files.read_lock_files(here, None),
}
found = {}
for name, part in parts.items():
    began = time.perf_counter()
    part()
    found[name] = time.perf_counter() - began
print(json.dumps(found))
"""


def measured(code: str, paths: List[str]) -> Dict[str, float]:
    """Run a program in a process of its own; it prints what it measured."""
    done = subprocess.run([sys.executable, "-c", code, *paths], stdout=subprocess.PIPE, check=True)
    values: Dict[str, float] = json.loads(done.stdout)
    return values


def show(title: str, code: str, rounds: int, paths: List[str]) -> None:
    """Print the medians."""
    rows = [measured(code, paths) for _ in range(rounds)]
    print(title)
    for name in rows[0]:
        value = statistics.median(row[name] for row in rows)
        is_count = name in COUNTS
        text = f"{value:10,.0f}" if is_count else f"{value * 1000:10.2f} ms"
        print(f"  {name:32}{text}")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--distributions", type=int, default=0, help="install so many more, for show"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number in range(options.distributions):
            info = Path(folder, f"many_{number}-1.0.dist-info")
            info.mkdir()
            text = f"Metadata-Version: 2.1\nName: many-{number}\nVersion: 1.0\n\n" + "words\n" * 500
            (info / "METADATA").write_text(text)
            paths = [folder]
        show("a process", FIRST, options.rounds, paths)
        show("part by part", PARTS, options.rounds, paths)


if __name__ == "__main__":
    main()
