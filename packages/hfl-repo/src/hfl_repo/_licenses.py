"""The licences that the Hub knows, by the identifier that a card uses (Hub documentation, "Licenses")."""

from __future__ import annotations

import difflib
from typing import Iterable

from hfl_core.errors import ValidationError

__all__ = ["LICENSES", "check_license", "check_tags"]

LICENSES = frozenset(
    [
        "apache-2.0",
        "mit",
        "openrail",
        "bigscience-openrail-m",
        "creativeml-openrail-m",
        "bigscience-bloom-rail-1.0",
        "bigcode-openrail-m",
        "afl-3.0",
        "artistic-2.0",
        "bsl-1.0",
        "bsd",
        "bsd-2-clause",
        "bsd-3-clause",
        "bsd-3-clause-clear",
        "c-uda",
        "cc",
        "cc0-1.0",
        "cc-by-2.0",
        "cc-by-2.5",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "cc-by-nc-2.0",
        "cc-by-nc-3.0",
        "cc-by-nc-4.0",
        "cc-by-nd-4.0",
        "cc-by-nc-nd-3.0",
        "cc-by-nc-nd-4.0",
        "cc-by-nc-sa-2.0",
        "cc-by-nc-sa-3.0",
        "cc-by-nc-sa-4.0",
        "cdla-sharing-1.0",
        "cdla-permissive-1.0",
        "cdla-permissive-2.0",
        "wtfpl",
        "ecl-2.0",
        "epl-1.0",
        "epl-2.0",
        "etalab-2.0",
        "eupl-1.1",
        "eupl-1.2",
        "agpl-3.0",
        "gfdl",
        "gpl",
        "gpl-2.0",
        "gpl-3.0",
        "lgpl",
        "lgpl-2.1",
        "lgpl-3.0",
        "isc",
        "h-research",
        "intel-research",
        "lppl-1.3c",
        "ms-pl",
        "apple-ascl",
        "apple-amlr",
        "mpl-2.0",
        "odc-by",
        "odbl",
        "openmdw-1.0",
        "openrail++",
        "osl-3.0",
        "postgresql",
        "ofl-1.1",
        "ncsa",
        "unlicense",
        "zlib",
        "pddl",
        "lgpl-lr",
        "deepfloyd-if-license",
        "fair-noncommercial-research-license",
        "llama2",
        "llama3",
        "llama3.1",
        "llama3.2",
        "llama3.3",
        "llama4",
        "grok2-community",
        "gemma",
        "unknown",
        "other",
    ]
)
_LONGEST_TAG = 128


def check_license(license_id: object) -> str:
    """Check a licence's identifier.

    Args:
        license_id: What a card would say under ``license``.

    Returns:
        The identifier.

    Raises:
        ValidationError: The Hub knows no such licence; the hint names the nearest one.

    Example:
        >>> check_license("mit")
        'mit'
    """
    if isinstance(license_id, str) and license_id in LICENSES:
        return license_id
    wanted = str(license_id).strip().lower().replace(" ", "-").replace("_", "-")
    near = difflib.get_close_matches(wanted, sorted(LICENSES), n=1, cutoff=0.5)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    raise ValidationError(
        f"The Hub knows no licence {license_id!r}.",
        hint=f"{guess}For a licence of its own: 'other', with license_name and a LICENSE file.",
    )


def check_tags(tags: Iterable[object]) -> list[str]:
    """Check the tags of a card.

    Args:
        tags: The tags.

    Returns:
        The tags, each once, in their order.

    Raises:
        ValidationError: One of them is none, or they are one text instead of a list.

    Example:
        >>> check_tags(["digits", "vision", "digits"])
        ['digits', 'vision']
    """
    if isinstance(tags, (str, bytes)):
        raise ValidationError(f"Tags are a list, not the text {tags!r}.", hint=f"Pass [{tags!r}].")
    found: dict[str, None] = {}
    for tag in tags:
        problem = _tag_problem(tag)
        if problem is not None:
            raise ValidationError(f"{tag!r} is not a tag: {problem}.", hint="As in 'my-tag'.")
        found[str(tag)] = None
    return list(found)


def _tag_problem(tag: object) -> str | None:
    if not isinstance(tag, str):
        return "it is no text"
    if not tag or tag != tag.strip():
        return "it is empty, or starts or ends with a blank"
    if len(tag) > _LONGEST_TAG:
        return f"it is longer than {_LONGEST_TAG} characters"
    if "," in tag or not tag.isprintable():
        return "it has a comma or a character that cannot be seen"
    return None
