"""The seeds: what the user says, and what the libraries that are imported say about theirs."""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, Mapping

from hfl_metadata._plain import Plain

_VARIABLES = ("PYTHONHASHSEED", "PL_GLOBAL_SEED", "CUBLAS_WORKSPACE_CONFIG")


def read_seeds(given: Any, plain: Plain) -> Dict[str, Any]:
    """Describe where the randomness comes from.

    Args:
        given: A number, or a mapping of names to numbers, or None.
        plain: Converts what was given.

    Returns:
        What was given, a number alone as ``seed``; then torch's seed and settings, if the program has
        imported torch; then the variables that are set.
    """
    found: Dict[str, Any] = {}
    if given is not None:
        named = given if isinstance(given, Mapping) else {"seed": given}
        converted = plain.convert(named, "seeds")
        found.update(converted if isinstance(converted, dict) else {})
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "initial_seed"):
        found.setdefault("torch", int(torch.initial_seed()))
        found.setdefault("torch_deterministic", bool(torch.are_deterministic_algorithms_enabled()))
        found.setdefault("cudnn_benchmark", bool(torch.backends.cudnn.benchmark))
    for name in _VARIABLES:
        if name in os.environ:
            found.setdefault(name, os.environ[name])
    return found
