"""Restoring: reading states, and putting them into live objects."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Collection, Dict, Iterator, List, Mapping

from hfl_checkpoint import _arguments
from hfl_checkpoint._changes import Changes
from hfl_checkpoint._checkpoint import RestoreReport
from hfl_checkpoint._components import components_of, kinds_of
from hfl_checkpoint._joint_read import chosen, require_nowhere_else
from hfl_checkpoint._provenance import version_warnings
from hfl_checkpoint._reader import read_components
from hfl_checkpoint._restore import plan_changes
from hfl_checkpoint._select import Selection, selected
from hfl_checkpoint._session import Line, Session
from hfl_checkpoint._world_size import left_apart, naming_sizes, rank_to_read
from hfl_checkpoint.errors import CheckpointNotFoundError
from hfl_core import get_logger

if TYPE_CHECKING:
    import torch

    from hfl_checkpoint._find import Which
    from hfl_checkpoint._protocol import TrainingStateLike

_log = get_logger(__name__)


class Restoring(Session):
    """The reading side of a checkpoint manager."""

    @contextlib.contextmanager
    def _choose(self, which: Which, *, strict: bool) -> Iterator[Selection]:
        with selected(self._run, self._arrive(which), strict=strict) as selection:
            yield selection

    def load(
        self,
        which: Which = "latest",
        *,
        only: Collection[str] | None = None,
        map_location: str | torch.device | None = None,
    ) -> Dict[str, Any]:
        """Read states without touching a live object.

        Args:
            which: ``"latest"``, ``"best:<metric>"``, a step, a name or label, a `Checkpoint`, or
                ``"hf://me/run@branch/…"`` for one on the Hub.
            only: The components to read; None reads all.
            map_location: A device to copy the tensors to. None leaves them mapped from the files:
                they are read when they are used, and writing to them does not reach the files.

        Returns:
            Component to state dict, as ``load_state_dict`` of the saved class takes it.

        Raises:
            CheckpointNotFoundError: There is no such checkpoint.
            CheckpointDamagedError: It is damaged.
            MissingComponentError: It lacks a component of `only`.

        Example:
            >>> import tempfile
            >>> from hfl_checkpoint import CheckpointManager
            >>> checkpoints = CheckpointManager(tempfile.mkdtemp(), background=False)
            >>> saved = checkpoints.save(10, counters={"seen": 320})
            >>> checkpoints.load("latest", only=["counters"])
            {'counters': {'seen': 320}}
        """
        team = self._team
        team.agree(self.wait)

        def names_in(selection: Selection) -> List[str]:
            return _arguments.asked_for(selection.checkpoint.name, selection.manifest, only)

        with chosen(
            self._run, team, lambda: self._choose(which, strict=False), names_in
        ) as selection:
            saved = team.agree(
                lambda: read_components(
                    selection.checkpoint.path,
                    selection.manifest,
                    names_in(selection),
                    map_location=map_location,
                    rank=rank_to_read(selection.manifest, team),
                )
            )
        return {name: item.as_state_dict() for name, item in saved.items()}

    def restore(
        self,
        which: Which = "latest",
        *,
        strict: bool = False,
        partial: bool = False,
        allow_missing: Collection[str] = (),
        map_location: str | torch.device | None = None,
        **components: Any,
    ) -> RestoreReport:
        """Put a checkpoint's states into live objects.

        Everything is verified and compared before the first object is touched. A damaged newest
        checkpoint is set aside, and the one before it is restored whole.

        Args:
            which: As for `load`.
            strict: Raise for a damaged newest checkpoint instead of going back.
            partial: Nothing but these components is wanted, so say nothing of the others.
            allow_missing: Components that the checkpoint may lack.
            map_location: Where a model that was built on the meta device gets its memory; None means the
                host. What is on a device stays there.
            **components: Name to live object, as for `save`.

        Returns:
            What was restored, from where, and what to know about it.

        Raises:
            CheckpointNotFoundError: There is no such checkpoint.
            CheckpointDamagedError: It is damaged, or all are.
            MissingComponentError: A component is not in it, and was not allowed to be missing.
            StateMismatchError: A saved state does not fit its live object; none was touched.

        Example:
            >>> import tempfile
            >>> from hfl_checkpoint import CheckpointManager
            >>> checkpoints = CheckpointManager(tempfile.mkdtemp(), background=False)
            >>> saved = checkpoints.save(10, counters={"seen": 320})
            >>> counters = {"seen": 0}
            >>> report = checkpoints.restore(saved.name, counters=counters)
            >>> report.restored, counters
            (('counters',), {'seen': 320})
        """
        team = self._team

        def begin() -> None:
            self._require_open()
            self.wait()
            kinds_of(components)

        team.agree(begin)
        remarks = team.first(self._remark)
        with chosen(
            self._run,
            team,
            lambda: self._choose(which, strict=strict),
            lambda found: [name for name in components if name in found.manifest.names],
        ) as selection:
            checkpoint, manifest = selection.checkpoint, selection.manifest

            def prepare() -> tuple[List[str], Changes]:
                missing = _arguments.missing_components(
                    checkpoint.name, manifest, components, allow_missing
                )
                present = {name: item for name, item in components.items() if name not in missing}
                rank = rank_to_read(manifest, team)
                saved = read_components(checkpoint.path, manifest, present, rank=rank)
                apart = left_apart(manifest, team, saved, present, allow_missing)
                saved = {name: item for name, item in saved.items() if name not in apart}
                with naming_sizes(manifest, team, present):
                    return [*missing, *apart], plan_changes(saved, present, device=map_location)

            missing, changes = team.agree(prepare)
            restored = changes.apply(team)
        self._run.adopt(checkpoint.run_id)
        self._line = Line(checkpoint.run_id, checkpoint.name, checkpoint.step)
        self._previous = (checkpoint.step, checkpoint.epoch)
        self._after_restore()
        warnings = [*selection.warnings, *version_warnings(manifest.versions), *restored.warnings]
        warnings += [
            f"{name!r} is in the checkpoint and was not restored"
            for name in manifest.names
            if name in missing or not (partial or name in components)
        ]
        for warning in warnings[len(selection.warnings) :]:  # those were logged when they came up
            if team.is_first:
                _log.warning("%s: %s", checkpoint.name, warning)
        warnings += remarks
        return RestoreReport(
            checkpoint, restored.names, tuple(missing), selection.quarantined, tuple(warnings)
        )

    def resume(
        self,
        state: TrainingStateLike | None = None,
        *,
        strict: bool = False,
        allow_missing: Collection[str] = (),
        map_location: str | torch.device | None = None,
        **components: Any,
    ) -> RestoreReport | None:
        """Restore the newest verified checkpoint; do nothing on a fresh run.

        Args:
            state: The training state; its components are restored.
            strict: As for `restore`.
            allow_missing: As for `restore`.
            map_location: As for `restore`.
            **components: More of them, or all when there is no state object.

        Returns:
            What was restored, or None when the run has no checkpoint yet.

        Raises:
            CheckpointDamagedError: There are checkpoints, and all are damaged.
            CheckpointError: Rank 0 has none, and another process has some on a disk of its own.
            HflError: As for `restore`.

        Example:
            >>> import tempfile
            >>> from hfl_checkpoint import CheckpointManager
            >>> print(CheckpointManager(tempfile.mkdtemp()).resume(counters={"seen": 0}))
            None
        """
        try:
            everything = self._team.agree(lambda: all_components(state, components))
            return self.restore(
                "latest",
                strict=strict,
                allow_missing=allow_missing,
                map_location=map_location,
                **everything,
            )
        except CheckpointNotFoundError:
            self._require_nowhere_else()
            return None

    def _require_nowhere_else(self) -> None:
        require_nowhere_else(self._team, [item.name for item in self.checkpoints()])


def all_components(
    state: TrainingStateLike | None, components: Mapping[str, Any]
) -> Dict[str, Any]:
    """Join what `resume` is given: a training state's components, and those that are named.

    Raises:
        ConfigError: The state is none.
    """
    if state is None:
        return dict(components)
    _arguments.require_state(state, "resume")
    return {**components_of(state), **components}
