"""Logs that people read on the terminal and programs read in a file, without secrets in either.

    python examples/core/structured_logging.py

Not called `logging.py`: a script's folder comes first where Python looks for modules.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from hfl_core import configure_logging, get_logger, log_context, set_log_context

log_file = Path("logs/train.log")

configure_logging(
    1,  # stderr: what is being done
    file=log_file,
    file_verbosity=2,  # the file: every detail
    max_bytes=20_000,
    max_age=dt.timedelta(days=1),
    backups=10,
    keep_for=dt.timedelta(days=7),
)
log = get_logger(__name__)

set_log_context(run="digits-1")
for step in range(200):
    set_log_context(step=step)  # in every record from here on, on every thread
    log.debug("a batch", extra={"loss": 1 / (step + 1)})
with log_context(shard=3):  # in the records of this block only
    log.info(
        "Pushing to https://me:correct-horse@example.org/digits with HF_TOKEN=hf_%s", "a1" * 16
    )

files = sorted(log_file.parent.iterdir())
records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
losses = {record["step"]: record["loss"] for record in records if "loss" in record}
last = next(record for record in records if "shard" in record)
print(f"{len(records)} records in {', '.join(file.name for file in files)}")
print(f"the loss at step 99 was {losses[99]:.3f}")
print(f"the last record: {last['message']!r}, shard {last['shard']}")

assert len(losses) == 200
assert all(file.stat().st_size <= 20_000 for file in files)
assert not any(
    "correct-horse" in file.read_text() or "a1a1a1" in file.read_text() for file in files
)
