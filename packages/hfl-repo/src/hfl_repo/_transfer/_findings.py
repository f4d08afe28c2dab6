"""What the gate finds, and which of it is let through."""

from __future__ import annotations

import collections
import dataclasses
from typing import Iterable, Literal, Sequence

from hfl_core.errors import ConfigError
from hfl_repo._transfer._patterns import Patterns
from hfl_repo.errors import UnsafeUploadError

__all__ = ["KINDS", "Allowed", "Finding", "refuse"]

Kind = Literal[
    "secret", "home-path", "absolute-path", "link", "special", "empty-tensor", "damaged", "archive"
]
KINDS: tuple[Kind, ...] = (
    "secret",
    "home-path",
    "absolute-path",
    "link",
    "special",
    "empty-tensor",
    "damaged",
    "archive",
)
_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that must not leave the machine.

    Attributes:
        path: The file, as it is called in the upload.
        kind: What it is.
        place: Where in the file: ``"line 3"``, ``"byte 4096"``, ``"args.pkl, byte 12"``; or empty.
        text: What it is, for people. A secret is masked.
    """

    path: str
    kind: Kind
    text: str
    place: str = ""

    def __str__(self) -> str:
        text = f"{self.text} [{self.kind}]"
        return f"{self.place}: {text}" if self.place else text


class Allowed:
    """What is let through by name.

    Args:
        names: Each is ``"kind"``, ``"path"`` or ``"path:kind"``; the path may be a pattern. A secret
            is let through for a path only.

    Raises:
        ConfigError: A name lets all secrets through.

    Example:
        >>> allowed = Allowed(["link", "notes/*.md:home-path"])
        >>> allowed.lets_through(Finding("notes/a.md", "home-path", "a home folder"))
        True
        >>> allowed.lets_through(Finding("notes/a.md", "secret", "a secret"))
        False
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._kinds = {name for name in names if name in KINDS}
        self._paths: list[tuple[Patterns, str | None]] = []
        if "secret" in self._kinds:
            raise ConfigError(
                "Secrets are not let through altogether.",
                hint="Name the file: allow=['path/of/file:secret']",
            )
        for name in names:
            if name in KINDS:
                continue
            path, _, kind = name.rpartition(":")
            if path and kind in KINDS:
                self._paths.append((Patterns([path]), kind))
            else:
                self._paths.append((Patterns([name]), None))

    def lets_through(self, finding: Finding) -> bool:
        """Say whether a finding does not matter."""
        if finding.kind in self._kinds:
            return True
        return any(
            kind in (None, finding.kind) and patterns.match(finding.path)
            for patterns, kind in self._paths
        )


def refuse(findings: Iterable[Finding]) -> None:
    """Raise if anything was found.

    Raises:
        UnsafeUploadError: It names each file with what was found and where.
    """
    by_path: dict[str, list[str]] = collections.defaultdict(list)
    for finding in findings:
        text = str(finding)
        if text not in by_path[finding.path]:
            by_path[finding.path].append(text)
    if not by_path:
        return
    raise UnsafeUploadError({path: _listed(texts) for path, texts in by_path.items()})


def _listed(texts: Sequence[str]) -> str:
    rest = len(texts) - _SHOWN
    more = f", and {rest} more" if rest > 0 else ""
    return ", ".join(texts[:_SHOWN]) + more
