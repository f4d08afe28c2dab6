"""Large files on their way: which the Hub lacks, and one of them sent by git-lfs's protocol.

Source: the git-lfs project's docs/api/batch.md and basic-transfers.md; the transfer in parts is the
Hub's own ("multipart").
"""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence
from urllib.parse import urlsplit

from hfl_core.errors import (
    AuthError,
    DiskSpaceError,
    HflError,
    IntegrityError,
    NetworkError,
    PermissionDeniedError,
    ValidationError,
)
from hfl_repo._transfer._body import file_body
from hfl_repo._transfer._patience import DamagedOnTheWayError, Patience

if TYPE_CHECKING:
    from hfl_repo._hub import Hub
    from hfl_repo._target import Target

__all__ = ["LargeFile", "Missing", "ask_missing", "send_object"]

_AT_ONCE = 256
_LFS = "application/vnd.git-lfs+json"
_SLOW = 300.0  # putting parts together and checking them takes the storage a while


@dataclasses.dataclass(frozen=True)
class LargeFile:
    """A content that travels as a large file.

    Attributes:
        path: A file that has it, in the repository.
        source: Where it is here.
        size: Bytes.
        sha256: Its digest.
    """

    path: str
    source: Path
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Missing:
    """What the Hub lacks.

    Attributes:
        actions: By sha256, where it wants to have it.
        way: The transfer that it chose.
    """

    actions: Mapping[str, Mapping[str, Any]]
    way: str


def ask_missing(
    hub: Hub, target: Target, files: Sequence[LargeFile], *, offer_xet: bool = False
) -> Missing:
    """Ask which contents the Hub lacks. What arrived in an earlier attempt is not among them.

    Args:
        hub: The Hub.
        target: The repository with the branch.
        files: The contents.
        offer_xet: Whether they could also be sent by Xet.

    Returns:
        What is missing.

    Raises:
        ValidationError: The Hub does not take one of them.
    """
    prefix = "" if target.repo_type == "model" else f"{target.repo_type}s/"
    path = f"/{prefix}{target.repo_id}.git/info/lfs/objects/batch"
    actions: dict[str, Mapping[str, Any]] = {}
    way = "basic"
    for start in range(0, len(files), _AT_ONCE):
        some = files[start : start + _AT_ONCE]
        body: dict[str, Any] = {
            "operation": "upload",
            "transfers": ["basic", "multipart", *(["xet"] if offer_xet else [])],
            "objects": [{"oid": file.sha256, "size": file.size} for file in some],
            "hash_algo": "sha256",
        }
        if target.revision is not None:
            body["ref"] = {"name": target.revision}
        headers = {"Accept": _LFS, "Content-Type": _LFS}
        answer = hub.send("POST", path, target, json=body, headers=headers).json()
        way = str(answer.get("transfer") or way)
        names = {file.sha256: file.path for file in some}
        for item in answer.get("objects") or ():
            _check_taken(item, names)
            if item.get("actions"):
                actions[item["oid"]] = item["actions"]
    return Missing(actions, way)


def send_object(
    hub: Hub,
    target: Target,
    file: LargeFile,
    actions: Mapping[str, Any],
    patience: Patience,
    sent: Callable[[int], None],
) -> None:
    """Send one content, again where that may help.

    Args:
        hub: The Hub.
        target: The repository with the branch.
        file: The content.
        actions: Where the Hub wants to have it.
        patience: How often it is tried.
        sent: Told how many bytes went out.

    Raises:
        IntegrityError: It arrives damaged again and again.
        HflError: It cannot be sent.
    """
    current: list[Mapping[str, Any] | None] = [actions]

    def once() -> None:
        action = current[0]
        if action is None:  # the addresses expire, and an attempt may have arrived all the same
            action = ask_missing(hub, target, [file]).actions.get(file.sha256)
            if action is None:
                return
        current[0] = None
        _send(hub, target, file, action, patience, sent)

    try:
        patience.call(once)
    except DamagedOnTheWayError as error:
        raise IntegrityError(
            f"{file.path!r} arrives damaged again and again.",
            hint="Something between here and the Hub changes what is sent: a proxy, or bad memory.",
        ) from error


def _send(
    hub: Hub,
    target: Target,
    file: LargeFile,
    actions: Mapping[str, Any],
    patience: Patience,
    sent: Callable[[int], None],
) -> None:
    def put(url: str, start: int, size: int) -> str:
        body = file_body(file.source, start, size, sent, patience.check)
        timeout = patience.bounded(hub.timeout)
        answer = hub.send_once(
            "PUT", url, content=body, headers=body.headers, is_signed=True, timeout=timeout
        )
        return answer.headers.get("etag", "")

    upload, verify = actions["upload"], actions.get("verify")
    header = upload.get("header") or {}
    slow = patience.bounded(max(_SLOW, hub.timeout))
    try:
        if "chunk_size" not in header:
            put(upload["href"], 0, file.size)
        else:
            parts = []
            for number, start, size in _parts(file, int(header["chunk_size"])):
                address = header[str(number)]
                etag = patience.call(functools.partial(put, address, start, size))
                parts.append({"partNumber": number, "etag": etag})
            body = {"oid": file.sha256, "parts": parts}
            headers = {"Accept": _LFS, "Content-Type": _LFS}
            hub.send_once(
                "POST", upload["href"], json=body, headers=headers, is_signed=True, timeout=slow
            )
    except ValidationError as error:  # it differs from the digest that was announced
        raise DamagedOnTheWayError(
            f"The storage refuses what arrived of {file.path!r}: {error.message}"
        ) from error
    except (PermissionDeniedError, AuthError) as error:  # the address has expired
        raise NetworkError(f"The storage does not take {file.path!r}: {error.message}") from error
    if verify is not None:
        known = {"oid": file.sha256, "size": file.size}
        headers = dict(verify.get("header") or {})
        url = verify["href"] if "Authorization" in headers else _here(verify["href"])
        hub.send_once("POST", url, target, json=known, headers=headers, timeout=slow)


def _here(url: str) -> str:
    """Return an address of the Hub's own as a path: behind a mirror, the Hub names itself.

    The token goes to the endpoint that was chosen and to no other.
    """
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _parts(file: LargeFile, length: int) -> list[tuple[int, int, int]]:
    if length <= 0:
        raise NetworkError("The Hub asks for parts without a length.")
    count = math.ceil(file.size / length)
    return [
        (number + 1, number * length, min(length, file.size - number * length))
        for number in range(count)
    ]


def _check_taken(item: Mapping[str, Any], names: Mapping[str, str]) -> None:
    error = item.get("error")
    if not error:
        return
    path = names.get(str(item.get("oid")), str(item.get("oid")))
    text = f"The Hub does not take {path!r}: {str(error.get('message', '')).rstrip('.')}."
    found: HflError = ValidationError(text)
    if error.get("code") in (403, 401):
        found = PermissionDeniedError(text)
    elif error.get("code") in (507, 509, 402):
        found = DiskSpaceError(text, hint="See what uses the storage with: hfl repo storage")
    elif int(error.get("code") or 0) >= 500:
        found = NetworkError(text)
    raise found
