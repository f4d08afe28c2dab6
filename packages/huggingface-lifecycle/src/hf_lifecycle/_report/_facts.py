"""What a run was, from what lies in its directory: run.json, manifests, metadata. Nothing is changed."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

from hfl_checkpoint import Checkpoint, RunOverview, run_overview
from hfl_core import HflError, NotFoundError, ValidationError, redact
from hfl_metadata import RunMetadata, read_metadata

__all__ = ["SCHEMA", "gather"]

SCHEMA = 1
_URGENT = ("preemption", "deadline")
_Records = List[Tuple[Checkpoint, "RunMetadata | None"]]


def gather(directory: Path, *, metrics: Sequence[str] = ()) -> Dict[str, Any]:
    """Gather what a report says.

    Args:
        directory: The run's directory.
        metrics: The metrics to report; all if there are none.

    Returns:
        Plain values, which JSON can hold; their form is in ``docs/cli/json.schema.json``.

    Raises:
        NotFoundError: There is no run, or no checkpoint has one of the metrics.
        ConfigError: It is a checkpoint, or a file.
    """
    if not directory.exists():
        raise NotFoundError(
            f"There is no run in '{directory}'.", hint="hfl status lists the runs below a folder."
        )
    run = run_overview(directory)
    if not run.checkpoints and not run.problems:
        raise NotFoundError(
            f"'{directory}' holds no checkpoint.", hint="hfl status lists the runs below a folder."
        )
    chosen = _metrics(run, metrics)
    problems = list(run.problems)
    records = list(_records(run, problems))
    known = [record for _, record in records if record is not None]
    sessions = _sessions(records)
    return {
        "schema": SCHEMA,
        "name": run.path.resolve().name,
        "run_id": run.checkpoints[-1].run_id if run.checkpoints else None,
        "created": _created(run),
        "hub": run.hub,
        "size": run.size,
        "checkpoints": [_row(item, chosen) for item in run.checkpoints],
        "metrics": {name: _range(run.checkpoints, name) for name in chosen},
        "sessions": sessions,
        "timeline": list(_timeline(run, sessions)),
        "time": _time(known[-1] if known else None, sessions),
        "summary": known[-1].summary() if known else {},
        "hyperparameters": known[-1].hyperparameters if known else {},
        "modules": _modules(known[-1]) if known else [],
        "changes": _changes(known),
        "waiting": list(run.waiting),
        "refused": dict(run.refused),
        "problems": [redact(text) for text in problems],
        "remarks": [redact(text) for text in run.remarks],
    }


def _metrics(run: RunOverview, wanted: Sequence[str]) -> List[str]:
    known = list(dict.fromkeys(name for item in run.checkpoints for name in item.metrics))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise NotFoundError(
            f"No checkpoint has the metric {unknown[0]!r}.",
            hint=f"They have {', '.join(known)}." if known else "They have no metrics.",
        )
    return list(dict.fromkeys(wanted)) or known


def _records(run: RunOverview, problems: List[str]) -> Iterator[Tuple[Checkpoint, Any]]:
    for item in run.checkpoints:
        try:
            yield item, read_metadata(item.path)
        except NotFoundError:
            yield item, None
        except (HflError, ValidationError) as error:
            problems.append(f"{item.name}: {error.message}")
            yield item, None


def _created(run: RunOverview) -> str | None:
    try:
        return str(json.loads((run.path / "run.json").read_bytes())["created"])
    except (OSError, ValueError, KeyError, TypeError):
        return _iso(run.checkpoints[0].created_at) if run.checkpoints else None


def _row(item: Checkpoint, metrics: Sequence[str]) -> Dict[str, Any]:
    return {
        "name": item.name,
        "step": item.step,
        "epoch": item.epoch,
        "created_at": _iso(item.created_at),
        "reason": item.reason,
        "metrics": {name: _finite(item.metrics[name]) for name in metrics if name in item.metrics},
        "size": item.size,
        "pinned": item.pinned,
        "labels": list(item.labels),
    }


def _range(items: Sequence[Checkpoint], name: str) -> Dict[str, Any]:
    """The lowest, the highest and the last: nobody but a person knows which one is better."""
    values = [
        (item.metrics[name], item.name)
        for item in items
        if math.isfinite(item.metrics.get(name, math.nan))
    ]
    if not values:
        return {"min": None, "max": None, "last": None}
    found = {"min": min(values), "max": max(values), "last": values[-1]}
    return {word: {"value": value, "checkpoint": where} for word, (value, where) in found.items()}


def _sessions(records: _Records) -> List[Dict[str, Any]]:
    """Checkpoints that one process saved: what is on record about it was captured at one moment."""
    found: List[Dict[str, Any]] = []
    last: RunMetadata | None = None
    for item, record in records:
        began = None if record is None else record.captured_at
        if not found or (record is not None and not _is_same_session(last, record)):
            found.append(
                {
                    "began": began or _iso(item.created_at),
                    "ended": None,
                    "first_step": item.step,
                    "last_step": item.step,
                    "checkpoints": 0,
                    "command": " ".join(record.command) if record is not None else None,
                }
            )
        last = record or last
        found[-1].update(ended=_iso(item.created_at), last_step=item.step)
        found[-1]["checkpoints"] += 1
    return found


def _is_same_session(one: RunMetadata | None, other: RunMetadata) -> bool:
    """Only how long it took changes while a process goes on."""
    return one is not None and (
        dataclasses.replace(one, durations=None) == dataclasses.replace(other, durations=None)
    )


def _timeline(run: RunOverview, sessions: List[Dict[str, Any]]) -> Iterator[Dict[str, Any]]:
    events = []
    for number, session in enumerate(sessions):
        first = session["first_step"]
        what = "started" if number == 0 else f"resumed; its first checkpoint is step {first}"
        events.append((session["began"], what))
    for item in run.checkpoints:
        if any(word in item.reason.split("+") for word in _URGENT):
            events.append(
                (_iso(item.created_at), f"told to end ({item.reason}); saved step {item.step}")
            )
    if run.checkpoints:
        newest = run.checkpoints[-1]
        events.append((_iso(newest.created_at), f"newest checkpoint: {newest.name}"))
    for moment, what in sorted(events, key=lambda event: _moment(event[0])):
        yield {"at": moment, "event": what}


def _time(record: RunMetadata | None, sessions: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Where the time went: as the run measured it, and as its checkpoints tell."""
    lengths = [
        (_moment(each["ended"]) - _moment(each["began"])).total_seconds() for each in sessions
    ]
    whole = 0.0
    if sessions:
        whole = (_moment(sessions[-1]["ended"]) - _moment(sessions[0]["began"])).total_seconds()
    measured: Dict[str, float] | None = None
    if record is not None and record.durations is not None:
        known = record.durations
        parts = {
            "training": known.training,
            "saving": known.saving,
            "evaluating": known.evaluating,
        }
        measured = {
            "wall": known.wall,
            **parts,
            "other": max(known.wall - sum(parts.values()), 0.0),
        }
    worked = sum(max(each, 0.0) for each in lengths)
    return {
        "measured": measured,
        "sessions": worked,
        "between_sessions": max(whole - worked, 0.0),
    }


def _modules(record: RunMetadata) -> List[Dict[str, Any]]:
    if record.model is None:
        return []
    table = record.to_dict()["model"].get("modules") or []
    return [dict(row) for row in table]


def _changes(known: List[RunMetadata]) -> List[Dict[str, Any]]:
    """What was different when the run went on, from one session to the next."""
    found: List[Dict[str, Any]] = []
    for before, after in zip(known, known[1:]):
        if not _is_same_session(before, after):
            found += [
                {"at": after.captured_at, "path": each.path, "before": each.before, "after": each.after}
                for each in before.diff(after)
            ]  # fmt: skip
    return found


def _finite(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _iso(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _moment(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)


def points(report: Mapping[str, Any], metric: str) -> List[Tuple[int, float, str]]:
    """List step, value and name of the checkpoints that have a metric as a finite number."""
    return [
        (row["step"], row["metrics"][metric], row["name"])
        for row in report["checkpoints"]
        if isinstance(row["metrics"].get(metric), (int, float))
    ]
