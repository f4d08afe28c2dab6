"""A card that the data and people write together.

python examples/datasets/card.py
"""

from __future__ import annotations

import os

from _hub import signed_in

from hfl_datasets import DatasetManager

with signed_in() as hub:
    from huggingface_hub import HfApi  # 0.36 takes its endpoint from the environment, once

    rows = [{"petal": n / 2, "kind": "abc"[n % 3]} for n in range(600)]
    flowers = DatasetManager("ann/flowers")
    flowers.upload(rows, metadata={"license": "mit", "tags": ["flowers"]})

    # Somebody edits the card on the Hub: text, a comment, a field that nobody knows.
    text = flowers.card().text.replace("license: mit", "license: mit  # asked legal")
    text = text.replace(
        "# flowers\n", "# Flowers\n\nPicked by hand in May.\n\n## Bias\n\nOnly ours.\n"
    )
    text = text.replace("tags:", "our-field: {keep:   this}\ntags:")
    HfApi(endpoint=hub.endpoint, token=os.environ["HF_TOKEN"]).upload_file(
        path_or_fileobj=text.encode(),
        path_in_repo="README.md",
        repo_id="ann/flowers",
        repo_type="dataset",
    )

    # The next upload brings the figures up to date, and nothing else.
    flowers.upload(rows[:300], metadata={"license": "mit", "tags": ["flowers", "small"]})
    card = flowers.card()
    print(card.text)
    for kept in ("# asked legal", "Picked by hand in May.", "our-field: {keep:   this}"):
        assert kept in card.text
    assert card.metadata["tags"] == ["flowers", "small"]
    assert "| train | 300 |" in card.text
