"""Where the time of a run went: training, saving, waiting, and what went on meanwhile.

python examples/core/timing.py
"""

from __future__ import annotations

import json
import threading
import time

from hfl_core import Timer

timer = Timer()


def upload() -> None:
    """Send a checkpoint, on another thread."""
    with timer.span("upload"):
        time.sleep(0.1)


for step in range(20):
    with timer.span("train"):
        time.sleep(0.005)
    if step % 10 == 9:
        with timer.span("save"):
            with timer.span("wait"):  # for the save before
                time.sleep(0.01)
            time.sleep(0.02)
        sender = threading.Thread(target=upload)
        sender.start()
sender.join()

summary = timer.summary()
print(summary)
data = json.loads(summary.to_json())
print(f"{data['spans'][0]['path']}: {data['spans'][0]['share']:.0%} of the time")
print(f"nine steps in ten took at most {timer.percentile('train', 90) * 1000:.1f} ms")

assert [row.path for row in summary.rows] == ["train", "save", "save/wait"]
assert [row.path for row in summary.background] == ["upload"]
