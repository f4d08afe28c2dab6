"""What is recorded about the program that saved, and compared when another one restores."""

from __future__ import annotations

import dataclasses
import platform
from typing import TYPE_CHECKING, Any, Dict, List, Mapping

if TYPE_CHECKING:
    from hfl_metadata import RunMetadata


def library_versions() -> Dict[str, str]:
    """The versions that decide whether a resume can be exact."""
    import numpy as np
    import safetensors
    import torch

    from hfl_core import __version__

    return {
        "hfl-checkpoint": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "safetensors": safetensors.__version__,
        "torch": torch.__version__,
    }


def version_warnings(saved: Mapping[str, str]) -> List[str]:
    """Name the libraries whose other version may make the resumed run differ in the last bits."""
    now = library_versions()
    return [
        f"{name} was {saved[name]} when this was saved, and is {now[name]}: "
        "the run may differ in the last bits from here on"
        for name in ("torch", "numpy")
        if name in saved and saved[name] != now[name]
    ]


def describe_run(more: Mapping[str, Any]) -> str:
    """Write what is known about the run, as the text of ``metadata.json``.

    Args:
        more: What the user adds.
    """
    return RunDescription(more).text()


class RunDescription:
    """What is known about the run, asked once: what runs is what was there when the run began.

    How long it took is asked anew each time, of the `RunClock` that the user adds as ``durations``.

    Args:
        more: What the user adds; its names are the arguments of `hfl_metadata.capture`.
    """

    def __init__(self, more: Mapping[str, Any]) -> None:
        self._more = dict(more)
        self._record: RunMetadata | None = None
        self._text = ""

    def text(self) -> str:
        """Write it as the text of ``metadata.json``."""
        so_far = getattr(self._more.get("durations"), "durations", None)
        if self._record is None:
            from hfl_metadata import capture

            self._record = capture(**self._more)
            self._text = self._record.to_json()
        elif callable(so_far):
            self._record = dataclasses.replace(self._record, durations=so_far())
            self._text = self._record.to_json()
        return self._text
