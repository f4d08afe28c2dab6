from __future__ import annotations

from typing import Any, Callable

import pytest


@pytest.fixture
def run(run, tmp_path) -> Callable[..., Any]:
    """``run("text", directory="run", args={...}, resume=True)``."""

    def train(kind: str = "text", **wanted: Any) -> Any:
        wanted.setdefault("output", "out")
        for name in ("directory", "output"):
            if wanted.get(name) is not None:
                wanted[name] = str(tmp_path / wanted[name])
        return run(kind=kind, **wanted)

    return train


@pytest.fixture
def token(zygotes, run) -> str:
    """A token for the Hub that runs talk to."""
    run("versions", versions=[])
    return zygotes.token
