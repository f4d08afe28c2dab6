"""The ``local_hub`` fixture. pytest loads this module in every run, so it imports next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

import pytest

if TYPE_CHECKING:
    from hfl_localhub._server import LocalHub

__all__ = ["local_hub"]


@pytest.fixture
def local_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """Run a Hub for one test, and turn this process's environment away from any other Hub.

    ``HF_ENDPOINT``, ``HF_HOME`` and ``HF_TOKEN_PATH`` point to the local Hub and to a folder of
    its own, and ``HF_TOKEN`` is the token of its user ``local``: a token of the public Hub is
    neither read nor sent. What has imported ``huggingface_hub`` already has its endpoint from
    before, so pass ``endpoint=local_hub.endpoint``.
    """
    from hfl_localhub import LocalHub
    from hfl_localhub._environment import REMOVED

    with pytest.MonkeyPatch.context() as patch:
        for name in REMOVED:
            patch.delenv(name, raising=False)
        with LocalHub(tmp_path_factory.mktemp("local_hub")) as hub:
            for name, value in hub.settings(hub.create_user("local")).items():
                patch.setenv(name, value)
            yield hub
