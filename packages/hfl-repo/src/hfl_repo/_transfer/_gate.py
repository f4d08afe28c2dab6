"""The gate that every upload passes: what must not leave the machine is found before a byte is sent."""

from __future__ import annotations

import itertools
import posixpath
import re
from pathlib import Path
from typing import Callable, Iterable, Iterator, Sequence

from hfl_core import get_logger, redact
from hfl_repo._transfer import _containers, _local_paths, _secrets
from hfl_repo._transfer._digest_cache import DigestCache
from hfl_repo._transfer._findings import Allowed, Finding, refuse
from hfl_repo._transfer._scan import LocalFile
from hfl_repo._transfer._tensor_file import find_in_tensors, tensor_metadata
from hfl_repo._transfer._wide_text import read_narrow

__all__ = ["inspect_file", "pass_gate"]

_LOG = get_logger(__name__)
# Raised with every change of what is looked for: files that passed older rules are looked at again.
RULES = 2
_PIECE, _OVERLAP = 1 << 20, 1024
_LARGEST_TEXT = 8 << 20
_MOST_FINDINGS = 20
_CONFIGURATIONS = (".json", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties")
_CARDS = (".md", ".ipynb")
_PROGRAMS = (".py", ".sh", ".env", ".xml", ".js", ".ts", ".tf", ".ps1", ".bat")
# Files of programs that keep passwords there.
_KEPT_SECRETS = {".netrc", "_netrc", ".npmrc", ".pypirc", "credentials", "dockerfile", "makefile"}
_COMPRESSED = (".gz", ".bz2", ".xz")
_LOGIN = re.compile(r"(?m)(?<=\s)(password)[ \t]+(?=\S)")  # how a .netrc says it
# These hold words of a language, and words look like anything.
_VOCABULARIES = {"tokenizer.json", "vocab.json", "added_tokens.json", "merges.txt"}


def pass_gate(
    files: Sequence[LocalFile],
    findings: Iterable[Finding],
    allowed: Allowed,
    cache: DigestCache,
    *,
    advance: Callable[[int], None] = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Look into files, and refuse if there is anything that must not leave the machine.

    Args:
        files: What is to be sent.
        findings: What has been found about the folder itself.
        allowed: What is let through.
        cache: Knows the files that have passed before.
        advance: Told how many bytes were dealt with.
        check: Called between files; what it raises ends the work.

    Raises:
        UnsafeUploadError: Something was found; all of it is named.
    """
    found = list(findings)
    for file in files:
        check()
        if not cache.is_clean(file.key, RULES):
            here = list(inspect_file(file.path, file.source))
            found += here
            if not here:
                cache.note_clean(file.key, RULES)
        advance(file.size)
    cache.flush()
    refuse(finding for finding in found if not allowed.lets_through(finding))


def inspect_file(path: str, source: Path) -> Iterator[Finding]:
    """Look into a file.

    Args:
        path: What it is called in the upload.
        source: Where it is.

    Yields:
        What must not leave the machine, at most some twenty things.
    """
    yield from itertools.islice(_inspect(path, source), _MOST_FINDINGS)


def _inspect(path: str, source: Path) -> Iterator[Finding]:
    size = source.stat().st_size
    with source.open("rb") as file:
        head = file.read(8)
        file.seek(0)
        if path.endswith(".safetensors"):
            yield from find_in_tensors(path, file, size)
            file.seek(0)
            yield from _told(path, "__metadata__.json", tensor_metadata(file))
            file.seek(0)
        yield from _look_into(path, "", file, size)
    try:
        for name, inside in _containers.opened_inside(source, head, _is_read_by_name):
            yield from _look_into(path, name, inside, None)
    except _containers.TooLargeInsideError:
        yield Finding(path, "archive", "an archive that unpacks to more than can be looked through")
    except _containers.UnreadableInsideError as error:
        _LOG.warning("What is inside %s could not be looked at: %s", path, error)


def _look_into(
    path: str, name: str, file: _containers.Readable, size: int | None
) -> Iterator[Finding]:
    """Look at a stream: all of it for shapes, and the start of it for what it says by name."""
    start = 0
    lines = 0
    is_text = True
    kept = b""
    rest = b""
    for piece in read_narrow(file, _PIECE):
        if start == 0 and not rest:
            is_text = b"\0" not in piece[:8192]
        if len(kept) <= _LARGEST_TEXT:
            kept += piece
        data = rest + piece
        for hit in _secrets.find_secrets(data):
            line = lines + data.count(b"\n", 0, hit.position)
            place = _place(name, is_text, line, start + hit.position)
            yield Finding(path, "secret", f"a secret ({hit.text})", place)
        # A secret on the border is seen whole with the next piece; found twice, it is named once.
        cut = max(0, len(data) - _OVERLAP)
        lines += data.count(b"\n", 0, cut) if is_text else 0
        start += cut
        rest = data[cut:]
    if len(kept) > _LARGEST_TEXT and (size is None or size > _LARGEST_TEXT):
        return
    if kept.startswith(_containers.PICKLE) or (name or path).endswith((".pkl", ".pickle")):
        yield from _pickled(path, name, kept)
    elif is_text:
        yield from _told(path, name, kept.decode("utf-8", "replace"))


def _pickled(path: str, name: str, data: bytes) -> Iterator[Finding]:
    for position, key, value in _containers.pickled_pairs(data):
        for hit in _secrets.find_assigned(f'"{key[:80]}": "{value[:400]}"'):
            place = _place(name, False, 0, position)
            yield Finding(path, "secret", f"a secret ({hit.text})", place)


def _told(path: str, name: str, text: str) -> Iterator[Finding]:
    """Look for what is meant for people and programs, in files that are for them."""
    file_name, suffix = _kind(name or path)
    if file_name in _VOCABULARIES:
        return
    if _is_read_by_name(name or path):
        if file_name.endswith("netrc"):
            text = _LOGIN.sub(r"\1: ", text)
        for hit in _secrets.find_assigned(text):
            place = _place(name, True, text.count("\n", 0, hit.position), 0)
            yield Finding(path, "secret", f"a secret ({hit.text})", place)
    if suffix not in (*_CONFIGURATIONS, *_CARDS):
        return
    for position, what in _local_paths.find_home_paths(text):
        yield Finding(path, "home-path", what, _place(name, True, text.count("\n", 0, position), 0))
    if suffix in _CONFIGURATIONS:
        for position, what in _local_paths.find_absolute_paths(text):
            place = _place(name, True, text.count("\n", 0, position), 0)
            yield Finding(path, "absolute-path", what, place)


def _kind(path: str) -> tuple[str, str]:
    """Return a file's name and what it is, in small letters; that it is compressed does not count."""
    file_name = posixpath.basename(path).lower()
    if file_name.endswith(_COMPRESSED):
        file_name = posixpath.splitext(file_name)[0]
    if file_name == ".env" or file_name.startswith(".env."):
        return file_name, ".env"
    return file_name, posixpath.splitext(file_name)[1]


def _is_read_by_name(path: str) -> bool:
    file_name, suffix = _kind(path)
    return suffix in (*_CONFIGURATIONS, *_CARDS, *_PROGRAMS) or file_name in _KEPT_SECRETS


def _place(name: str, is_text: bool, lines: int, position: int) -> str:
    where = f"line {lines + 1}" if is_text else f"byte {position:,}"
    return f"{redact(name)}, {where}" if name else where
