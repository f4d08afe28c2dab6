"""A token from the environment: for containers, clusters and CI.

    python examples/auth/environment.py

A token in the environment belongs to the Hub in the environment. Set `HF_TOKEN` alone, and it is the public Hub's.
"""

from __future__ import annotations

import os
from pathlib import Path

from hfl_auth import AuthManager
from hfl_localhub import LocalHub

os.environ["HF_HOME"] = str(Path("hf-home").resolve())

with LocalHub() as hub:
    os.environ["HF_ENDPOINT"] = hub.endpoint
    os.environ["HF_TOKEN"] = hub.create_user("robot", role="read")

    auth = AuthManager()
    print(f"{auth.whoami().name} at {auth.endpoint}, from {auth.credential().detail}")

    for place in auth.explain():  # `hfl auth explain` shows the same
        print(f"  {place.source:13} {place.status:10} {place.detail}: {place.reason}")

    # Another Hub does not get it.
    elsewhere = AuthManager(endpoint="https://huggingface.co")
    assert elsewhere.credential().token is None
