"""Making a checkpoint of what was imported: the first one of a new run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from hfl_checkpoint import _codec, _configs, _optimizers, _pretrained
from hfl_checkpoint._arguments import require_step
from hfl_checkpoint._component_files import Storage
from hfl_checkpoint._components import MAPPING, MODEL, OPTIMIZER, Captured
from hfl_checkpoint._naming import DEFAULT_PATTERN, Naming
from hfl_checkpoint._provenance import describe_run
from hfl_checkpoint._run import RunDirectory
from hfl_checkpoint._shards import DEFAULT_SIZE
from hfl_checkpoint._sizes import parse_size
from hfl_checkpoint._writer import Draft, pack_all, shard_all, write_checkpoint
from hfl_checkpoint.errors import UnknownTypeError
from hfl_core import ConfigError, ConflictError, get_logger, translated_os_errors

if TYPE_CHECKING:
    import os

    from hfl_checkpoint._checkpoint import Checkpoint
    from hfl_checkpoint._foreign._result import ImportedCheckpoint

_log = get_logger(__name__)


def write(
    imported: ImportedCheckpoint, directory: str | os.PathLike[str], *, step: int | None
) -> Checkpoint:
    """Write an imported checkpoint into a directory that holds none; see `ImportedCheckpoint.save`."""
    step = imported.step if step is None else step
    if step is None:
        raise ConfigError(
            "The checkpoint does not say after which step it was saved.",
            hint="Pass step=, or --step to the command: the number of optimizer steps taken.",
        )
    require_step(step)
    run = RunDirectory(directory)
    scan = run.scan()
    if scan.checkpoints or scan.foreign or scan.unreadable or scan.newer:
        raise ConflictError(
            f"{str(run.path)!r} holds checkpoints already.",
            hint="Import into a new directory: an import is where a run begins.",
        )
    captured = _captured(imported)
    packed = pack_all(captured)
    draft = Draft(
        step=step,
        epoch=imported.epoch,
        metrics=imported.metrics,
        reason="import",
        parent=None,
        components=captured,
        tensors=packed,
        shards=shard_all(captured, packed, Storage(parse_size(DEFAULT_SIZE)), None),
        metadata=describe_run({"imported_from": imported.source}),
    )
    run.create()
    with translated_os_errors(f"begin a run in {str(run.path)!r}"):
        run_id = run.begin(DEFAULT_PATTERN)
    return write_checkpoint(run, run_id, Naming(DEFAULT_PATTERN), draft)


def _captured(imported: ImportedCheckpoint) -> List[Captured]:
    found = []
    for name, state in imported.components.items():
        try:
            found.append(_capture(name, imported.kinds[name], state, imported.files))
        except UnknownTypeError as error:
            _log.warning("%r is not in the checkpoint: %s", name, error.message)
    return found


def _capture(name: str, kind: str, state: Any, beside: Mapping[str, bytes]) -> Captured:
    extra: Dict[str, Any] = {}
    files: Dict[str, bytes] = {}
    if kind == OPTIMIZER:
        state, extra = _optimizers.from_torch(state), {"parameters": {}}
    elif kind == MODEL:
        folder = _pretrained.model_folder(name)
        files = dict(beside) if not folder else {}
    elif kind == MAPPING:
        # Others note in their states where on the machine their files were.
        state = _configs.cleaned_document(state)
    # The class is not known; a restore compares what is inside.
    return Captured(name, kind, "", _codec.encode(state, name=name), extra, files, False)
