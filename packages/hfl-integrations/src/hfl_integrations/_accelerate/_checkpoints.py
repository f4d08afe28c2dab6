"""The object that people make beside their Accelerator."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Literal, Mapping, Tuple

from hfl_checkpoint import (
    Checkpoint,
    CheckpointExistsError,
    CheckpointManager,
    CheckpointNotFoundError,
    PendingCheckpoint,
)
from hfl_core import ConfigError, ConflictError, get_logger
from hfl_integrations._accelerate import _hooks, _project
from hfl_integrations._accelerate._compat import require_supported
from hfl_integrations._accelerate._import import is_stock, load_stock
from hfl_integrations._accelerate._loaders import Loaders
from hfl_integrations._accelerate._prepared import (
    ACCELERATOR,
    AcceleratorState,
    StepCount,
    named,
    require_prepared,
)
from hfl_state import RngState

if TYPE_CHECKING:
    from types import TracebackType

    from hfl_checkpoint import RestoreReport

_log = get_logger(__name__)

# For these reasons a run stops to go on in another process.
_STOPPING = frozenset({"preemption", "deadline"})

# Who saves where, and of which accelerator, while it is open.
_open: weakref.WeakSet[AcceleratedCheckpoints] = weakref.WeakSet()


class AcceleratedCheckpoints:
    """accelerate's ``save_state`` and ``load_state`` on a checkpoint manager, with an exact data position.

    Make it after ``accelerator.prepare(...)``, in every process. It saves everything that was prepared
    and everything that was registered with ``register_for_checkpointing``, calls the hooks before saving
    and loading, and takes over the loops of the prepared data loaders: after `load_state` the next
    ``for batch in loader`` goes on with the next batch, without ``skip_first_batches``, and the loops
    after it with the epochs that follow.

    A save stands after the batch in hand. With the last batch of an epoch in hand, what follows the
    loop is still to come: a run that goes on from there finds the loop empty, and comes to it.

    Args:
        accelerator: The accelerator.
        directory: The run's directory.
        on_change: What to do when a run goes on with another batch size, number of processes or dataset,
            so that samples would be repeated or left out: ``"error"``, or ``"override"`` to go on with
            the new settings and say so.
        **options: Of `hfl_checkpoint.CheckpointManager`: ``save``, ``keep``, ``hub``, ``background`` …
            ``total_limit`` of a `ProjectConfiguration` with ``automatic_checkpoint_naming`` stands for
            ``keep=KeepLast(n)``, and the checkpoints are called ``checkpoint_1``, ``checkpoint_2`` …

    Attributes:
        manager: The checkpoint manager.
        is_preempted: Whether `save_if_due` saved because of a signal or a deadline: the loop is to end.

    Raises:
        ConfigError: Nothing was prepared, the accelerator shards its models, or an option makes no sense.
        ConflictError: Another one is open for this directory, or this accelerator.
        UnsupportedFrameworkError: This version of accelerate is not supported.

    Example:
        >>> import tempfile, torch
        >>> from accelerate import Accelerator
        >>> from hfl_integrations.accelerate import AcceleratedCheckpoints
        >>> accelerator = Accelerator(cpu=True)
        >>> model = torch.nn.Linear(1, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> data = torch.utils.data.TensorDataset(torch.arange(8.0)[:, None])
        >>> loader = torch.utils.data.DataLoader(data, batch_size=2, shuffle=True)
        >>> model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
        >>> with AcceleratedCheckpoints(accelerator, tempfile.mkdtemp()) as checkpoints:
        ...     print(checkpoints.load_state())
        ...     for epoch in range(checkpoints.epoch, 2):
        ...         for (x,) in loader:
        ...             accelerator.backward(model(x).mean())
        ...             optimizer.step()
        ...             optimizer.zero_grad()
        ...         saved = checkpoints.save_state()
        ...     [each.step for each in checkpoints.manager.checkpoints()]
        None
        [4, 8]
    """

    def __init__(
        self,
        accelerator: Any,
        directory: str | os.PathLike[str],
        *,
        on_change: Literal["error", "override"] = "error",
        **options: Any,
    ) -> None:
        require_supported()
        if on_change not in ("error", "override"):
            raise ConfigError(
                f"There is no on_change={on_change!r}.", hint="Use 'error' or 'override'."
            )
        require_prepared(accelerator)
        self._accelerator = accelerator
        self._directory = Path(directory).resolve()
        self._refuse_second()
        self._on_change = on_change
        self.is_preempted = False
        self._steps = StepCount()
        self._state = AcceleratorState(accelerator, self._steps)
        self._hook_files = _hooks.HookFiles()
        self._last: Checkpoint | PendingCheckpoint | None = None
        self._loaders = Loaders(accelerator, on_change=on_change)
        try:
            self.manager = CheckpointManager(
                directory, **_project.manager_options(accelerator, options)
            )
        except BaseException:
            self._loaders.give_back()
            raise
        self._steps.follow(accelerator)
        _open.add(self)

    @property
    def step(self) -> int:
        """Steps that the first prepared optimizer has taken since the beginning of the run."""
        return self._steps.count

    @property
    def epoch(self) -> int:
        """Loops over the first prepared data loader that are over: where ``range(epoch, n)`` goes on."""
        return self._loaders.epoch

    def components(self) -> Dict[str, Any]:
        """Name everything that is saved, after calling the hooks that accelerate calls before a save.

        Returns:
            Name to object.

        Raises:
            ConfigError: A save would lose something here: gradients that wait for their step, or the
                position of a data loader that cannot be known.
        """
        self._look()
        self._require_boundary()
        self._loaders.saving()
        models = _hooks.before_save(self._accelerator, self._hook_files)
        self._state.saving(len(models))
        return self._components(models, has_hooks=_hooks.has_save_hooks(self._accelerator))

    def save_state(
        self, *, metrics: Mapping[str, Any] | None = None, reason: str = "manual"
    ) -> Checkpoint | PendingCheckpoint:
        """Save the state of everything now; in several processes, call it in all of them.

        Args:
            metrics: Metric to number, for finding and keeping the best.
            reason: Why; recorded with the checkpoint.

        Returns:
            The checkpoint, or with ``background=True`` a handle on it. Where no step was taken since the
            last one, that one.

        Raises:
            ConfigError: A save would lose something here: see `components`.
            HflError: As for `CheckpointManager.save`.

        Example:
            .. code-block:: python

                checkpoints.save_state(metrics={"eval_loss": 0.25})
        """
        components = self.components()
        try:
            self._last = self.manager.save(
                self.step, epoch=self.epoch, metrics=metrics, reason=reason, **components
            )
        except CheckpointExistsError:
            if metrics or self._last is None:
                _log.warning(
                    "step %d is saved already, and no step was taken since: %s", self.step,
                    "the metrics of now are not recorded with it" if metrics else "it stays as it is",
                )  # fmt: skip
            return self._last if self._last is not None else self.manager.get(step=self.step)
        self._accelerator.project_configuration.iteration += 1
        return self._last

    def save_if_due(self, **metrics: Any) -> Checkpoint | PendingCheckpoint | None:
        """Save when the policy that was passed as ``save=`` says so; call it after every step.

        Within an accumulation window nothing is saved, whatever the policy says; it is asked again at the
        end of the window. Nor is it within a loop over a data loader that cannot go on there: call it
        after such a loop as well.

        Args:
            **metrics: What was measured; recorded when this step is saved.

        Returns:
            What `save_state` returns, or None when nothing was due.

        Raises:
            HflError: As for `save_state`.

        Example:
            .. code-block:: python

                checkpoints.save_if_due(loss=loss.item())
                if checkpoints.is_preempted:
                    break
        """
        if not (self._accelerator.gradient_state.sync_gradients and self._loaders.are_known):
            return None
        saved = self.manager.step(self, **metrics)
        if saved is None:
            return None
        self._last = saved
        self._accelerator.project_configuration.iteration += 1
        # An urgent save has been waited for; of others the reason does not matter here.
        reason = saved.reason if isinstance(saved, Checkpoint) else ""
        if isinstance(saved, PendingCheckpoint) and saved.done():
            reason = saved.result().reason
        if not _STOPPING.isdisjoint(reason.split("+")):
            _log.warning("step %d is saved (%s), and the loop is to end", self.step, reason)
            self.is_preempted = True
        return saved

    def load_state(
        self, which: Any = "latest", *, trust_pickle: bool = False
    ) -> RestoreReport | None:
        """Go on from a checkpoint; in several processes, call it in all of them.

        Args:
            which: ``"latest"``, the newest verified one, here or on the Hub; ``"best:<metric>"``, a step, a
                name or label, a `Checkpoint`, ``"hf://…"``; or the path of a folder: a checkpoint of this
                or another run, or one that ``accelerator.save_state`` wrote. The latter holds no data
                position: its epoch begins anew.
            trust_pickle: Unpickle what such a folder holds and cannot be read without running code. Only
                for files whose origin you know.

        Returns:
            What was restored, or None when ``"latest"`` finds no checkpoint: a fresh run.

        Raises:
            ConfigError: There is none here, and there are checkpoints of accelerate's own.
            CheckpointNotFoundError: There is no such checkpoint.
            CheckpointDamagedError: It is damaged, or all are.
            HflError: It does not fit what was prepared; nothing was changed.

        Example:
            .. code-block:: python

                checkpoints.load_state()
                for epoch in range(checkpoints.epoch, epochs):
                    for batch in loader:
                        ...
        """
        self._look()
        path = Path(which).expanduser() if isinstance(which, (str, os.PathLike)) else None
        if path is not None and path.is_dir() and is_stock(path):
            report: RestoreReport | None = load_stock(
                self._accelerator, path, steps=self._steps, trust_pickle=trust_pickle
            )
        else:
            manager, which = self._place(which, path)
            report = self._restore(manager, which)
        if report is not None:
            self._last = report.checkpoint
            self.is_preempted = False
            _log.info("going on from %s, step %d", report.checkpoint.name, self.step)
        return report

    def close(self) -> None:
        """Finish the save under way; the data loaders get their own loops back.

        Raises:
            HflError: What went wrong with the save.
        """
        _open.discard(self)
        try:
            self.manager.close()
        finally:
            self._steps.rest()
            self._loaders.give_back()

    def __enter__(self) -> AcceleratedCheckpoints:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.manager.__exit__(kind, error, trace)
        finally:
            self.close()

    # -- inside -------------------------------------------------------------------------------

    def _look(self) -> None:
        """See what was prepared since the last look."""
        require_prepared(self._accelerator)
        self._steps.follow(self._accelerator)
        self._loaders.find()

    def _components(self, models: Any, *, has_hooks: bool) -> Dict[str, Any]:
        found = named(self._accelerator, models)
        if has_hooks:
            found[_hooks.HOOK_FILES] = self._hook_files
        rng = RngState(on_change=self._on_change)
        return {**found, ACCELERATOR: self._state, "loaders": self._loaders, "rng": rng}

    def _require_boundary(self) -> None:
        accelerator = self._accelerator
        if accelerator.gradient_state.sync_gradients:
            return
        raise ConfigError(
            f"Batch {accelerator.step % accelerator.gradient_accumulation_steps} of "
            f"{accelerator.gradient_accumulation_steps} of an accumulation window is in hand, and a save "
            "here would lose its gradients.",
            hint="Save where accelerator.sync_gradients is true, or call save_if_due(), which waits for it.",
        )

    def _place(self, which: Any, path: Path | None) -> Tuple[CheckpointManager, Any]:
        """The manager and the checkpoint that are meant."""
        if path is None or not (path / "manifest.json").is_file():
            return self.manager, which
        path = path.resolve()
        if path.parent == self._directory:
            return self.manager, path.name
        return CheckpointManager(path.parent, keep="all", background=False), path.name

    def _restore(self, manager: CheckpointManager, which: Any) -> RestoreReport | None:
        accelerator = self._accelerator
        self._state.comparing(len(accelerator._models))
        try:
            if not _hooks.has_load_hooks(accelerator):
                components = self._components(accelerator._models, has_hooks=False)
                if which == "latest":
                    report = manager.resume(**components)
                else:
                    report = manager.restore(which, **components)
            else:
                report = self._restore_with_hooks(manager, which)
        except CheckpointNotFoundError:
            if which != "latest":
                raise
            report = None
        finally:
            if manager is not self.manager:
                manager.close()
        if report is None:
            _project.refuse_to_forget(accelerator, self._directory)
        return report

    def _restore_with_hooks(self, manager: CheckpointManager, which: Any) -> RestoreReport:
        if which == "latest":
            manager.fetch_newer()
        manager.load(which, only=[ACCELERATOR])  # verified; one that is damaged is set aside
        checkpoint = manager.latest() if which == "latest" else manager.find(which)
        if checkpoint is None:
            raise AssertionError("it has just been read")
        has_files = _hooks.HOOK_FILES in checkpoint.components
        if has_files:
            files = manager.load(checkpoint, only=[_hooks.HOOK_FILES])[_hooks.HOOK_FILES]
            self._hook_files.load_state_dict(files)
        models = _hooks.before_load(self._accelerator, self._hook_files)
        self._state.comparing(len(models))
        return manager.restore(checkpoint, **self._components(models, has_hooks=has_files))

    def _refuse_second(self) -> None:
        for other in list(_open):
            if other._directory == self._directory:
                raise ConflictError(
                    f"An AcceleratedCheckpoints is open for {str(self._directory)!r} already.",
                    hint="Use that one, close() it first, or give this one another directory.",
                )
            if other._accelerator is self._accelerator:
                raise ConflictError(
                    "This accelerator has an AcceleratedCheckpoints already, whose loops its data loaders have.",
                    hint="Use that one, or close() it first.",
                )
