"""Finding the Trainer that a callback belongs to."""

from __future__ import annotations

import inspect
from typing import Any

from hfl_integrations._trainer._compat import Trainer


def calling_trainer(args: Any) -> Any | None:
    """Return the Trainer that is calling its callbacks, or None.

    A Trainer hands its callbacks the model, the optimizer and the data, but not itself, and what has to
    be captured (the gradient scaler, pending losses) and what has to be answered (``train(resume_…)``) is
    only found there. It is the ``self`` of a frame below.

    Args:
        args: The arguments that the callback was given, by which the right one is known.
    """
    frame = inspect.currentframe()
    while frame is not None:
        candidate = frame.f_locals.get("self")
        if isinstance(candidate, Trainer) and candidate.args is args:
            return candidate
        frame = frame.f_back
    return None
