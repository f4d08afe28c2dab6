"""One way to show how far something has come: bars for people, lines for logs, updates for programs.

    python examples/core/progress.py

On a terminal the first part draws bars; HFL_PROGRESS=0 switches them off, HFL_PROGRESS=lines writes lines.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from hfl_core import Progress, ProgressUpdate

files = {f"model-{number:05d}.safetensors": 2_000_000 for number in range(3)}
for name, size in files.items():
    Path(name).write_bytes(bytes(size))

# 1. A whole and its parts: what is done in a part counts for the whole.
progress = Progress()
with progress, progress.task("Copying", total=sum(files.values()), unit="bytes") as whole:
    for name, size in files.items():
        with whole.task(name, total=size) as part, Path(name).open("rb") as file:
            while chunk := file.read(500_000):
                part.advance(len(chunk))
print(f"{whole.completed} bytes")

# 2. What a program is told: path, count, speed, time left.
updates: list[ProgressUpdate] = []
progress = Progress(mode="off", callback=updates.append)
with progress, progress.task("Hashing", total=10) as task:
    for _ in range(10):
        time.sleep(0.03)
        task.advance()
print(f"{len(updates)} updates; the last one: {updates[-1].completed} of {updates[-1].total}")

# 3. What a log gets: a line every now and then.
progress = Progress(mode="lines", stream=sys.stdout, every=0.15)
with progress, progress.task("Saving", total=10) as task:
    for _ in range(10):
        time.sleep(0.03)
        task.advance()

assert whole.completed == 6_000_000
assert updates[-1].is_done
