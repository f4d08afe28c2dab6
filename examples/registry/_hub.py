"""A Hub on this machine, and ann signed in at it, for the examples beside this file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Iterator

from hfl_localhub import LocalHub


@contextlib.contextmanager
def signed_in() -> Iterator[LocalHub]:
    """Start a Hub, and sign in as ann."""
    for name in ("HFL_PROFILE", "HFL_ENDPOINT"):
        os.environ.pop(name, None)
    with LocalHub(Path("hub").resolve()) as hub:
        os.environ.update(hub.settings(hub.create_user("ann")))
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        yield hub
