"""What ``hfl status`` says: who one is, how the runs of a folder stand, and what to do next."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any, Dict, Iterator, List

from hfl_auth import AuthManager, TokenNotFoundError
from hfl_checkpoint import RunOverview, find_runs, run_overview
from hfl_core import HflError, load_settings
from hfl_repo import RepoManager

__all__ = ["look"]


def look(
    folder: Path,
    *,
    profile: str | None = None,
    endpoint: str | None = None,
    offline: bool = False,
    with_storage: bool = False,
) -> Dict[str, Any]:
    """Look at a folder.

    Args:
        folder: Where the runs are, or below.
        profile: The profile to act as.
        endpoint: The Hub.
        offline: Leave the network alone.
        with_storage: Ask the Hub how much the runs' repositories hold.

    Returns:
        ``account``, ``endpoint``, ``runs`` (one mapping per run, by path) and ``next`` (what to do, each
        with why).
    """
    manager = AuthManager(profile, endpoint)
    account, note = _account(manager, offline=offline or load_settings(folder).offline)
    rows: List[Dict[str, Any]] = []
    advice: List[Dict[str, str]] = [] if note is None else [note]
    for path in find_runs(folder):
        name = path.relative_to(folder).as_posix() if path != folder else path.name
        shown = str(path.relative_to(folder)) if path != folder else "."
        try:
            run = run_overview(path)
        except HflError as error:
            rows.append(_row(name, path, None, [error.message]))
            continue
        rows.append(_row(name, path, run, list(run.problems)))
        if with_storage and run.hub is not None:
            repo = RepoManager(run.hub.partition("@")[0], profile=profile, endpoint=endpoint)
            rows[-1]["hub_size"] = repo.storage().bytes
        advice += _advice(shown, run)
    return {"account": account, "endpoint": manager.endpoint, "runs": rows, "next": advice}


def _account(manager: AuthManager, *, offline: bool) -> tuple[str | None, Dict[str, str] | None]:
    if offline:
        return None, None
    try:
        return manager.whoami().name, None
    except TokenNotFoundError:
        return None, {"do": "hfl auth login", "why": "nobody is signed in"}
    except HflError as error:
        return None, {"do": "hfl doctor", "why": error.message}


def _row(name: str, path: Path, run: RunOverview | None, problems: List[str]) -> Dict[str, Any]:
    latest = None if run is None else run.latest
    return {
        "name": name,
        "path": str(path),
        "checkpoints": 0 if run is None else len(run.checkpoints),
        "latest": None if latest is None else latest.name,
        "step": None if latest is None else latest.step,
        "epoch": None if latest is None else latest.epoch,
        "saved_at": None if latest is None else latest.created_at,
        "metrics": {} if latest is None else dict(latest.metrics),
        "best": {} if run is None else _ranges(run),
        "problems": problems,
        "remarks": [] if run is None else list(run.remarks),
        "hub": None if run is None else run.hub,
        "waiting": 0 if run is None else len(run.waiting),
        "refused": {} if run is None else dict(run.refused),
        "size": 0 if run is None else run.size,
        "hub_size": None,
    }


def _ranges(run: RunOverview) -> Dict[str, Dict[str, Any]]:
    """The lowest and the highest of each metric: nobody but a person knows which one is better."""
    found: Dict[str, Dict[str, Any]] = {}
    for metric in dict.fromkeys(name for item in run.checkpoints for name in item.metrics):
        values = [
            (item.metrics[metric], item.name)
            for item in run.checkpoints
            if not math.isnan(item.metrics.get(metric, math.nan))
        ]
        if values:
            found[metric] = {
                word: {"value": value, "checkpoint": name}
                for word, (value, name) in (("min", min(values)), ("max", max(values)))
            }
    return found


def _advice(shown: str, run: RunOverview) -> Iterator[Dict[str, str]]:
    if run.problems:
        count = len(run.problems)
        what = "a damaged checkpoint" if count == 1 else f"{count} damaged checkpoints"
        yield {"do": f"hfl checkpoint verify {shown} --all", "why": f"{shown} has {what}"}
    if run.waiting:
        what = _count(len(run.waiting), "checkpoint waits", "checkpoints wait")
        yield {"do": f"hfl checkpoint push {shown}", "why": f"{what} for {run.hub}"}
    for name, why in run.refused.items():
        yield {
            "do": f"hfl checkpoint show {shown} {name}",
            "why": f"{name} was not published: {why}",
        }


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def age(moment: datetime.datetime, now: datetime.datetime) -> str:
    """Say how long ago something was, for people.

    Args:
        moment: When it was, with a time zone.
        now: When it is, with a time zone.

    Example:
        >>> import datetime
        >>> now = datetime.datetime.now(datetime.timezone.utc)
        >>> age(now - datetime.timedelta(minutes=90), now)
        '1 h ago'
    """
    seconds = (now - moment).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit} ago"
    return "just now" if seconds >= 0 else "in the future"
