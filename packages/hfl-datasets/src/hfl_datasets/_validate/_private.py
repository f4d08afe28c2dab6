"""Secrets and e-mail addresses in text."""

from __future__ import annotations

import re
from typing import Iterator, List, Tuple

import pyarrow as pa
import pyarrow.compute as pc

from hfl_core import redact

__all__ = ["private_values"]

# What a value has to hold before it is looked at closely; RE2 looks for all of it in one go, at some 600 MB/s.
_HINTS = (
    r"@|hf_|hf_oauth|api_org_|gh[opsur]_|github_pat_|glpat-|A[KSB][IA]A|AIza|xox[a-z]-|pypi-|npm_|eyJ|sk-|PRIVATE KEY"
    r"|hooks\.slack|api/webhooks|[Bb]earer |[Bb]asic |(?:token|secret|password|passwd|api_?key|access_?key)['\"]?\s*[:=]"
)
_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![\w-])"
)
# Addresses that belong to nobody (RFC 2606, RFC 6761).
_NOBODYS = re.compile(
    r"@(?:[\w.-]+\.)?(?:example\.(?:com|org|net)|example|test|invalid|localhost)$", re.IGNORECASE
)
_MASK = "***"
_LONGEST = 100_000


def private_values(column: pa.Array) -> Iterator[Tuple[str, List[int], str]]:
    """Find secrets and addresses in a column of text.

    Args:
        column: Text, or lists of text.

    Yields:
        The rule, the rows, and an example that gives nothing away.
    """
    text, row_of = _flat(column)
    candidates = pc.indices_nonzero(pc.fill_null(pc.match_substring_regex(text, _HINTS), False))
    if not len(candidates):
        return
    found: dict[str, List[int]] = {"secret": [], "email": []}
    examples: dict[str, str] = {}
    for index, value in zip(candidates.to_pylist(), text.take(candidates).to_pylist()):
        row = int(row_of[index].as_py()) if row_of is not None else index
        shown = _secret(value[:_LONGEST])
        if shown is not None:
            found["secret"].append(row)
            examples.setdefault("secret", shown)
        address = _address(value[:_LONGEST])
        if address is not None:
            found["email"].append(row)
            examples.setdefault("email", address)
    for rule, rows in found.items():
        if rows:
            yield rule, rows, examples[rule]


def _flat(column: pa.Array) -> Tuple[pa.Array, pa.Array | None]:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return column.flatten(), pc.list_parent_indices(column)
    return column, None


def _secret(value: str) -> str | None:
    masked = redact(value)
    at = masked.find(_MASK)
    start = 0
    while at >= 0:
        after = masked[at + len(_MASK) :].partition(_MASK)[0]
        head = masked[start:at]
        begin = value.find(head) + len(head) if head else 0
        end = value.find(after[:16], begin) if after else len(value)
        taken = value[begin : end if end >= begin else len(value)]
        if _is_secret(taken):
            return masked[max(0, at - 24) : at + len(_MASK)].strip()
        value, masked, start = value[begin + len(taken) :], masked[at + len(_MASK) :], 0
        at = masked.find(_MASK)
    return None


def _is_secret(taken: str) -> bool:
    """Tell what was masked from a word of prose: "password: see the manual" is none, and neither are asterisks."""
    if "PRIVATE KEY" in taken or taken.endswith("@"):
        return True
    inner = taken.strip("\"'\\ ")
    has_digit = any(mark.isdigit() for mark in inner)
    return (
        len(inner) >= 8 and has_digit and any(mark.isalpha() for mark in inner) and " " not in inner
    )


def _address(value: str) -> str | None:
    for match in _EMAIL.finditer(value):
        address = match.group()
        if not _NOBODYS.search(address):
            name, _, host = address.partition("@")
            return f"{name[0]}{_MASK}@{host}"
    return None
