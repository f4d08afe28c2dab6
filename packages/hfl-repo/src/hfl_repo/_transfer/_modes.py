"""How each file travels: within the commit, or ahead of it as a large file."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Literal, Mapping, NamedTuple, Sequence

from hfl_core.errors import NetworkError
from hfl_repo._transfer._digests import LARGEST_BLOB
from hfl_repo._transfer._scan import LocalFile

if TYPE_CHECKING:
    from hfl_repo._hub import Hub
    from hfl_repo._target import Target

__all__ = ["Mode", "ask_modes"]

_AT_ONCE = 256  # more is refused
_SAMPLE = 512


class Mode(NamedTuple):
    """How a file travels.

    Attributes:
        way: ``"lfs"`` or ``"regular"``.
        is_ignored: Whether the repository's ``.gitignore`` leaves it out.
    """

    way: Literal["lfs", "regular"]
    is_ignored: bool


def ask_modes(
    hub: Hub, target: Target, files: Sequence[LocalFile], *, create_pr: bool
) -> Mapping[str, Mode]:
    """Ask the Hub how files travel.

    Args:
        hub: The Hub.
        target: The repository with the branch.
        files: The files.
        create_pr: Whether they go into a pull request.

    Returns:
        The modes by path.

    Raises:
        NetworkError: The answer is not what a Hub sends.
    """
    path = target.api("preupload", target.revision or "main")
    params = {"create_pr": "1"} if create_pr else None
    found: dict[str, Mode] = {}
    for start in range(0, len(files), _AT_ONCE):
        some = files[start : start + _AT_ONCE]
        body = {"files": [_asked(file) for file in some]}
        answer = hub.send("POST", path, target, params=params, json=body).json()
        try:
            modes = {item["path"]: item for item in answer["files"]}
            for file in some:
                item = modes[file.path]
                # An empty file cannot be a large one, whatever the rules say, nor a huge one a blob.
                is_large = item["uploadMode"] == "lfs" or file.size > LARGEST_BLOB
                is_large = is_large and file.size > 0
                ignored = bool(item.get("shouldIgnore"))
                found[file.path] = Mode("lfs" if is_large else "regular", ignored)
        except (KeyError, TypeError) as error:
            raise NetworkError(
                f"{hub.endpoint} does not say how the files are to be sent."
            ) from error
    return found


def _asked(file: LocalFile) -> dict[str, object]:
    with file.source.open("rb") as opened:
        sample = opened.read(_SAMPLE)
    return {"path": file.path, "sample": base64.b64encode(sample).decode(), "size": file.size}
