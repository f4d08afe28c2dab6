"""Running all checks; one that breaks is a finding, and stops no other."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Callable, Iterable, List, Tuple

from hf_lifecycle._doctor import _hub_checks, _machine, _software
from hf_lifecycle._doctor._finding import Finding
from hfl_core import HflError, redact

__all__ = ["examine"]

_Check = Callable[[], Iterable[Finding]]


def examine(
    folder: Path,
    *,
    profile: str | None = None,
    endpoint: str | None = None,
    offline: bool = False,
) -> List[Finding]:
    """Look at everything that a training in a folder depends on.

    Args:
        folder: The folder.
        profile: The profile to act as.
        endpoint: The Hub.
        offline: Leave the network alone.

    Returns:
        What was found, in which no token stands.
    """
    checks: List[Tuple[str, _Check]] = [
        ("versions", _software.versions),
        ("requirements", _software.requirements),
        ("optional parts", _software.optional_parts),
        ("settings", functools.partial(_software.settings, folder)),
        ("folders", functools.partial(_machine.folders, folder)),
        ("disk speed", functools.partial(_machine.disk_speed, folder)),
        ("GPU", _machine.gpus),
        ("token", functools.partial(_hub_checks.token_source, profile, endpoint)),
    ]
    if offline:
        checks.append(("Hub", lambda: [Finding("Hub", "note", "not asked: offline")]))
    else:
        checks.append(("Hub", functools.partial(_hub_checks.hub, profile, endpoint)))
    return [_safe(finding) for name, check in checks for finding in _run(name, check)]


def _run(name: str, check: _Check) -> List[Finding]:
    try:
        return list(check())
    except HflError as error:
        return [Finding(name, "problem", error.message, error.hint)]
    except Exception as error:  # noqa: BLE001  # a broken check is what a person wants to know
        return [Finding(name, "problem", f"the check failed ({type(error).__name__}: {error})")]


def _safe(finding: Finding) -> Finding:
    """The finding as it may be pasted into an issue."""
    remedy = None if finding.remedy is None else _private(finding.remedy)
    return Finding(finding.check, finding.state, _private(finding.found), remedy)


def _private(text: str) -> str:
    try:
        home = str(Path.home())
    except RuntimeError:
        home = ""
    text = redact(text)
    return text.replace(home, "~") if len(home) > 1 else text
