"""A stream from a Hub that is interrupted and goes on with the very next row.

python examples/datasets/streaming.py
"""

from __future__ import annotations

import json
from typing import Dict, Iterator, List

from _hub import signed_in

from hfl_datasets import DatasetManager, DatasetStream

ROWS = 60_000


def rows() -> Iterator[Dict[str, object]]:
    """Make rows as they are needed: they are never all in memory."""
    for number in range(ROWS):
        yield {"number": number, "text": f"This is row {number}.", "square": number * number}


with signed_in() as hub:
    numbers = DatasetManager("ann/numbers")
    numbers.upload(rows, max_shard_bytes=500_000)

    def stream() -> DatasetStream:
        """Open the stream as each process would."""
        opened = numbers.load("train", streaming=True)
        return opened.select_columns(["number"]).shuffle(buffer_size=1_000, seed=1)

    hub.requests.clear()
    whole: List[int] = [row["number"] for row in stream()]
    fetched = sum(record.bytes_out for record in hub.requests)
    print(f"{len(whole)} rows, {fetched / 1e6:.1f} MB fetched, for one of three columns")

    first = stream()
    rows_of_first = iter(first)
    seen = [next(rows_of_first)["number"] for _ in range(25_000)]
    state = json.dumps(first.state_dict())  # goes into a checkpoint

    second = stream()
    second.load_state_dict(json.loads(state))
    seen += [row["number"] for row in second]
    assert seen == whole
    assert sorted(seen) == list(range(ROWS))
    print("Interrupted after 25,000 rows: the same rows in the same order.")
