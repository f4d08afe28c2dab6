from __future__ import annotations

from typing import Any, Callable, Dict

import pytest

_PATHS = ("directory", "load", "stock", "save_stock", "export")


@pytest.fixture
def run(run, tmp_path) -> Callable[..., Any]:
    """``run(directory="run", save_at=[4], signal_at=(7, "SIGKILL"))``."""

    def train(**wanted: Any) -> Any:
        for name in _PATHS:
            if isinstance(wanted.get(name), str) and not wanted[name].startswith("latest"):
                wanted[name] = str(tmp_path / wanted[name])
        return run(**wanted)

    return train


@pytest.fixture
def uninterrupted(zygotes, tmp_path_factory) -> Callable[..., Any]:
    """An uninterrupted run, made once for all tests that compare with it."""

    def train(**wanted: Any) -> Any:
        def make() -> Any:
            folder = tmp_path_factory.mktemp("whole")
            return zygotes.runner("accelerate", folder)(directory=str(folder / "run"), **wanted)

        return zygotes.once("accelerate", wanted, make)

    return train


def continues(first: Dict[str, Any], whole: Dict[str, Any]) -> None:
    """Check that a run ends as the whole one did, with the batches that the whole one had at its end."""
    count = len(first["seen"])
    assert first["seen"] == whole["seen"][len(whole["seen"]) - count :]
    for name in ("model", "optimizer", "scheduler", "rng", "total", "step", "epoch"):
        assert first[name] == whole[name], name


@pytest.fixture(name="continues")
def _continues() -> Any:
    return continues
