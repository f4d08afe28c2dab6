"""Publish a file to a Hub and load it back, with the ordinary client and nothing of ours.

The demo runs this in a process whose environment points to a local Hub::

    python -m hf_lifecycle._demo.stranger MODEL.safetensors OWNER/NAME

It prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download
from safetensors.torch import load_file

from hf_lifecycle._demo.train import build_model, evaluate, load_data


def publish_and_load(file: Path, repo_id: str) -> None:
    """Upload the file, download it into an empty cache, and see what the model in it is worth.

    Args:
        file: The model's weights.
        repo_id: Where to publish them; the repository is created, and private.
    """
    api = HfApi()
    api.create_repo(repo_id, private=True)
    commit = api.upload_file(
        path_or_fileobj=str(file), path_in_repo="model.safetensors", repo_id=repo_id
    )
    copy = Path(hf_hub_download(repo_id, "model.safetensors", revision=commit.oid))
    model = build_model()
    model.load_state_dict(load_file(copy))
    facts = {
        "commit": commit.oid,
        "bytes": copy.stat().st_size,
        "identical": copy.read_bytes() == file.read_bytes(),
        "accuracy": evaluate(model, load_data().test)[1],
    }
    print(json.dumps(facts), flush=True)  # noqa: T201  # a program, not a library


if __name__ == "__main__":
    publish_and_load(Path(sys.argv[1]), sys.argv[2])
