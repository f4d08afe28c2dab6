"""Going on from a Hub on an empty machine: over real HTTP, to one on this machine."""

from __future__ import annotations


def test_an_empty_machine_goes_on_from_the_hub(run, continues) -> None:
    common = {"save_at": [4, 8], "epochs": 2, "options": {"hub": "ann/accelerate"}}
    whole = run(directory="whole", **{**common, "options": {}})
    run(directory="here", stop_at=9, **common)
    there = run(directory="there", **common)
    assert there["loaded"][1] == 8
    continues(there, whole)
