"""What is recorded about the program that saved, and compared when another one restores."""

from __future__ import annotations

import platform
from typing import Any, Dict, List, Mapping


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
    from hfl_metadata import capture

    return capture(**more).to_json()
