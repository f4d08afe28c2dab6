"""Which paths a repository takes."""

from __future__ import annotations

import re

from hfl_core.errors import ValidationError

__all__ = ["checked_folder", "checked_path", "path_problem"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
# What the Hub and its client keep for themselves.
_RESERVED = {".git"}


def path_problem(path: str) -> str | None:
    """Say what is wrong with a path in a repository, as a clause; None when nothing is."""
    if _CONTROL.search(path):
        return "it has a control character, or is no valid text"
    if "\\" in path:
        return "it has a '\\', and repositories use '/'"
    if path.startswith("/") or re.match(r"[A-Za-z]:/", path):
        return "it is absolute"
    for part in path.split("/"):
        if re.match(r"[A-Za-z]:", part):
            return f"{part!r} begins like a drive of Windows, which the Hub's clients refuse"
        if part in ("", ".", ".."):
            return "a part of it is empty, '.' or '..'"
        if part.lower() in _RESERVED:
            return f"{part!r} is git's own folder"
    return "it is longer than 1,024 bytes" if len(path.encode()) > 1024 else None


def checked_path(path: str) -> str:
    """Check the path of a file in a repository.

    Raises:
        ValidationError: It leads elsewhere, or is none that the Hub takes.
    """
    problem = path_problem(path)
    if problem is not None:
        raise ValidationError(
            f"{path!r} cannot be a path in a repository: {problem}.",
            hint="Give a path relative to the repository's root, as in 'checkpoints/step-500'.",
        )
    return path


def checked_folder(path: str | None) -> str:
    """Check the folder of a repository that something goes into.

    Args:
        path: The folder; None, ``""`` and ``"."`` for the root; one ``/`` at its end is fine.

    Returns:
        The folder without a ``/`` at its end; empty for the root.

    Raises:
        ValidationError: It leads elsewhere, or is none that the Hub takes.
    """
    if path in (None, "", ".", "./"):
        return ""
    folder = str(path)
    return checked_path(folder[:-1] if folder.endswith("/") and folder != "/" else folder)
