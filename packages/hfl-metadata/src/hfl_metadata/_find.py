"""Records on disk: a file, a checkpoint, or all checkpoints of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from hfl_core import IntegrityError, NotFoundError, ValidationError
from hfl_metadata._record import RunMetadata

FILE = "metadata.json"
_MANIFEST = "manifest.json"
_RUN = "run.json"
_YAML = {".yaml", ".yml"}


class Found(NamedTuple):
    """A record, and where it lies.

    Attributes:
        path: The file.
        checkpoint: The name of the checkpoint, None for a file alone.
        step: The checkpoint's step, None for a file alone.
        metrics: The checkpoint's metrics.
    """

    path: Path
    checkpoint: str | None
    step: int | None
    metrics: Dict[str, Any]


def read_metadata(path: str | os.PathLike[str]) -> RunMetadata:
    """Read the record of a run.

    Args:
        path: A ``metadata.json`` (or a file that `RunMetadata.to_yaml` wrote), a checkpoint, or the
            directory of a run: then the newest checkpoint that has a record counts.

    Returns:
        The record. Records of older versions are read, too.

    Raises:
        NotFoundError: There is no record.
        IntegrityError: The file is damaged.
        ValidationError: The file is something else, or of a newer version.

    Example:
        >>> import pathlib, tempfile
        >>> from hfl_metadata import capture, read_metadata
        >>> file = pathlib.Path(tempfile.mkdtemp(), "metadata.json")
        >>> _ = file.write_text(capture(note="baseline").to_json())
        >>> read_metadata(file).extra
        {'note': 'baseline'}
    """
    return read_file(find_records(path)[-1].path)


def find_records(path: str | os.PathLike[str]) -> List[Found]:
    """Find the records below a path.

    Args:
        path: As for `read_metadata`.

    Returns:
        At least one; those of a run in the order in which its checkpoints were committed.

    Raises:
        NotFoundError: There is none.
    """
    place = Path(path)
    if place.is_file():
        beside = _manifest(place.parent) if place.name == FILE else None
        return [_found(place, beside)]
    if not place.is_dir():
        address = "://" in os.fspath(path)
        raise NotFoundError(
            f"There is no file and no directory {os.fspath(path)!r}.",
            hint=(
                "Fetch it first: hfl checkpoint download"
                if address
                else "Pass a metadata.json, a checkpoint, or the directory of a run."
            ),
        )
    if (place / FILE).is_file():
        return [_found(place / FILE, _manifest(place))]
    found = _of_run(place)
    if not found:
        raise NotFoundError(
            f"{os.fspath(path)!r} holds no {FILE}, and no checkpoint that does.",
            hint="Pass a metadata.json, a checkpoint, or the directory of a run.",
        )
    return found


def read_file(path: Path) -> RunMetadata:
    """Read one file.

    Args:
        path: JSON, or YAML if its name ends so.

    Returns:
        The record.

    Raises:
        IntegrityError: It is neither.
        ValidationError: It is no record, or of a newer version.
    """
    from hfl_core import translated_os_errors

    with translated_os_errors(f"read {os.fspath(path)!r}"):
        data = path.read_bytes()
    try:
        values = _parsed(path, data)
    except (ValueError, RecursionError) as error:
        reason = error.message if isinstance(error, ValidationError) else f"{error}."
        raise IntegrityError(
            f"{os.fspath(path)!r} is damaged. {reason}",
            hint="Another checkpoint of the run has a record, too.",
        ) from error
    try:
        return RunMetadata.from_dict(values)
    except ValidationError as error:
        raise ValidationError(f"{os.fspath(path)!r}: {error.message}", hint=error.hint) from error


def _parsed(path: Path, data: bytes) -> Any:
    if path.suffix.lower() in _YAML:
        from hfl_metadata import _yaml

        return _yaml.load(data)
    return json.loads(data)


def _found(path: Path, manifest: Dict[str, Any] | None) -> Found:
    if manifest is None:
        return Found(path, None, None, {})
    metrics = manifest.get("metrics")
    return Found(
        path=path,
        checkpoint=path.resolve().parent.name,
        step=manifest.get("step"),
        metrics=metrics if isinstance(metrics, dict) else {},
    )


def _of_run(run: Path) -> List[Found]:
    identity = _json(run / _RUN)
    run_id = identity.get("run_id") if identity is not None else None
    found = []
    for place in run.iterdir():
        # .staging, .trash and .uploads hold no checkpoints that count.
        if place.name.startswith(".") or not (place / FILE).is_file():
            continue
        manifest = _manifest(place)
        if manifest is None or (run_id is not None and manifest.get("run_id") != run_id):
            continue
        found.append((manifest["sequence"], _found(place / FILE, manifest)))
    return [item for _, item in sorted(found, key=lambda pair: (pair[0], pair[1].path.name))]


def _manifest(checkpoint: Path) -> Dict[str, Any] | None:
    # Order comes from the manifest alone. Whether the checkpoint is whole is not asked here.
    manifest = _json(checkpoint / _MANIFEST)
    if manifest is None or type(manifest.get("sequence")) is not int:
        return None
    return manifest


def _json(path: Path) -> Dict[str, Any] | None:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
