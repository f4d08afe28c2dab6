"""A card that a person and a training script write together.

python examples/repo/card.py
"""

from __future__ import annotations

import os

from _hub import signed_in

from hfl_repo import CardConflictError, RepoManager

with signed_in() as hub:
    from huggingface_hub import HfApi  # 0.36 takes its endpoint from the environment, once

    repo = RepoManager("ann/digits")
    repo.create(license="mit", tags=["digits", "draft"])

    # A person edits the card on the Hub: text, a comment, a tag less, a field that nobody knows.
    text = repo.card().text
    text = text.replace("- draft\n", "").replace("license: mit", "license: mit  # asked legal")
    text = text.replace("tags:", "our-field: {keep:   this}\ntags:") + "\nTrained on real digits.\n"
    HfApi(endpoint=hub.endpoint, token=os.environ["HF_TOKEN"]).upload_file(
        path_or_fileobj=text.encode(), path_in_repo="README.md", repo_id="ann/digits"
    )

    # The script pushes again. It says what it said before, and a little more.
    update = repo.update_card({"license": "mit", "tags": ["digits", "draft", "vision"]})
    print("Changed:", update.changed, "Kept as on the Hub:", update.kept)
    print(repo.card().text)
    assert repo.card().text == text.replace("- digits\n", "- digits\n- vision\n")

    # What both sides changed is for a person to decide.
    try:
        repo.update_card({"tags": None})
    except CardConflictError as error:
        print(error.message)
