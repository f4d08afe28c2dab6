"""Hyperparameters, in whatever form a program keeps them."""

from __future__ import annotations

from typing import Any, Dict

from hfl_metadata._plain import Plain, fields_of

_PATH = "hyperparameters"


def describe_hyperparameters(hyperparameters: Any, plain: Plain) -> Dict[str, Any]:
    """Turn hyperparameters into plain values.

    Args:
        hyperparameters: A mapping, a dataclass, an ``argparse.Namespace``, ``TrainingArguments``, or
            another object that says of itself what it holds; None for none.
        plain: Converts values and collects what does not fit.

    Returns:
        Name to value. Something that is no collection of names is under ``value``.
    """
    if hyperparameters is None:
        return {}
    fields = fields_of(hyperparameters)
    converted = plain.convert(hyperparameters if fields is None else fields, _PATH)
    if converted is None or isinstance(converted, dict):
        return converted or {}
    return {"value": converted}
