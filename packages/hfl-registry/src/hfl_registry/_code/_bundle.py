"""The files that go along with a model's classes."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence, Tuple

__all__ = ["CodeBundle", "bundle"]


@dataclasses.dataclass(frozen=True)
class CodeBundle:
    """Code that stands alone.

    Attributes:
        files: Name in the repository to content.
        places: Class to where it is there, as an ``auto_map`` says it: ``"modeling_digits.Digits"``.
        requirements: What it needs from an index, as pip takes it, with the versions that are in use.
    """

    files: Mapping[str, bytes]
    places: Mapping[Any, str]
    requirements: Tuple[str, ...] = ()


def bundle(classes: Sequence[Any]) -> CodeBundle:
    """Gather the code of classes."""
    files: Dict[str, bytes] = {}
    places: Dict[Any, str] = {}
    for cls in classes:
        path = Path(inspect.getsourcefile(cls) or "")
        files[path.name] = path.read_bytes()
        places[cls] = f"{path.stem}.{cls.__name__}"
    return CodeBundle(files, places)
