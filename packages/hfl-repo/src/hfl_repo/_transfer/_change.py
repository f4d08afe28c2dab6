"""What becomes of one file of a repository."""

from __future__ import annotations

import dataclasses
from typing import Literal

__all__ = ["Change"]

ChangeKind = Literal["add", "change", "copy", "delete", "unchanged"]


@dataclasses.dataclass(frozen=True)
class Change:
    """What becomes of one file of a repository.

    Attributes:
        path: The file.
        kind: ``"add"``, ``"change"`` (it holds something else now), ``"copy"`` (the repository has
            the content already and copies it itself), ``"delete"`` or ``"unchanged"``.
        size: Bytes of the new content; of the old one for ``"delete"``.
        copied_from: For ``"copy"``: the file that has the content.
        sha256: The new content's digest; None for ``"delete"``.
    """

    path: str
    kind: ChangeKind
    size: int
    copied_from: str | None = None
    sha256: str | None = None
