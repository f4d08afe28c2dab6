"""The object that people add to their Trainer."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal

from hfl_checkpoint import CheckpointManager
from hfl_core import ConfigError
from hfl_integrations._trainer._compat import TrainerCallback, require_supported
from hfl_integrations._trainer._owner import calling_trainer
from hfl_integrations._trainer._policies import KeepAsConfigured, Preemption
from hfl_integrations._trainer._takeover import Takeover

if TYPE_CHECKING:
    import os


class LifecycleCallback(TrainerCallback):
    """Hands a Trainer's saving, retention, publishing and resuming to a checkpoint manager.

    Add it to the Trainer's callbacks and change nothing else. ``trainer.train(resume_from_checkpoint=True)``
    goes on from the newest verified checkpoint, on this disk or on the Hub, and begins anew where there is
    none; a path, a checkpoint's name, ``"best:eval_loss"`` and ``hf://`` addresses work as well, and so do
    checkpoints that a Trainer without this callback wrote.

    With ``save=`` the policy decides when to save; without it the Trainer's ``save_strategy`` does. With
    ``keep=`` that policy decides what stays; without it ``save_total_limit`` does. The best checkpoint by
    ``metric_for_best_model``, and the newest, always stay.

    Args:
        directory: The run's directory.
        on_change: What to do when a run goes on with another batch size, number of processes, dataset
            length or seed, so that samples would be repeated or left out: ``"error"``, or ``"override"``
            to go on with the new settings and say so.
        **options: Of `hfl_checkpoint.CheckpointManager`: ``save``, ``keep``, ``hub``, ``background`` …

    Attributes:
        manager: The checkpoint manager.

    Raises:
        ConfigError: An option makes no sense.
        UnsupportedFrameworkError: This version of transformers is not supported.

    Example:
        >>> import tempfile
        >>> from hfl_checkpoint import EverySteps, KeepLast
        >>> callback = LifecycleCallback(tempfile.mkdtemp(), save=EverySteps(500), keep=KeepLast(3))
        >>> callback.manager.checkpoints()
        []
    """

    def __init__(
        self,
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
        _require_known(options)
        self._options = options
        self._on_change = on_change
        self._preemption = Preemption()
        self._configured = KeepAsConfigured(is_alone=options.get("keep") is None)
        self._takeover: Takeover | None = None
        self.manager = CheckpointManager(
            directory, **{**options, "save": self._joined_save(), "keep": self._joined_keep()}
        )

    @property
    def is_preempted(self) -> bool:
        """Whether training was stopped by a signal or a deadline, and is to go on in another process."""
        return self._takeover is not None and self._takeover.is_preempted

    def attach(self, trainer: Any) -> LifecycleCallback:
        """Take over a Trainer that exists already.

        Passing the callback to the Trainer's constructor does this by itself.

        Args:
            trainer: The Trainer.

        Returns:
            This callback, which is one of the Trainer's from here on.

        Raises:
            ConfigError: The callback belongs to another Trainer, or settings contradict each other.

        Example:
            .. code-block:: python

                callback = LifecycleCallback("runs/digits").attach(trainer)
        """
        if self._takeover is not None:
            if self._takeover.trainer is not trainer:
                raise ConfigError(
                    "This LifecycleCallback belongs to another Trainer already.",
                    hint="Make one for each Trainer, with a directory of its own.",
                )
            return self
        if self not in trainer.callback_handler.callbacks:
            trainer.add_callback(self)
        takeover = Takeover(
            trainer,
            self,
            preemption=self._preemption,
            on_change=self._on_change,
            options=self._options,
            configured=self._configured,
        )
        takeover.install()
        self._takeover = takeover
        return self

    # -- what the Trainer calls ---------------------------------------------------------------

    def on_init_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Find the Trainer, and take over."""
        self._of(args)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Put back what callbacks counted."""
        self._of(args).on_train_begin()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Learn that an epoch begins."""
        self._of(args).on_epoch_begin()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Learn that the epoch is over, or broken off."""
        self._of(args).on_epoch_end()

    def on_evaluate(
        self,
        args: Any,
        state: Any,  # noqa: ARG002  # the Trainer's signature
        control: Any,  # noqa: ARG002
        metrics: Any = None,
        **_: Any,
    ) -> None:
        """Learn the metrics."""
        self._of(args).on_evaluate(metrics or {})

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """See that everything is saved."""
        self._of(args).on_train_end()

    # -- inside -------------------------------------------------------------------------------

    def _of(self, args: Any) -> Takeover:
        """Return the takeover; of the Trainer that is calling, when it was not told before."""
        if self._takeover is None:
            trainer = calling_trainer(args)
            if trainer is None:
                raise ConfigError(
                    "LifecycleCallback does not find the Trainer that it was added to.",
                    hint="Call callback.attach(trainer) before trainer.train().",
                )
            self.attach(trainer)
        if self._takeover is None:
            raise AssertionError("attach() takes over or raises")
        return self._takeover

    def _joined_save(self) -> Any:
        save = self._options.get("save")
        return self._preemption if save is None else _joined(self._preemption, save)

    def _joined_keep(self) -> Any:
        keep = self._options.get("keep")
        if keep is None:
            return self._configured
        if isinstance(keep, str):
            from hfl_checkpoint import keep_from

            self._options["keep"] = keep = keep_from(keep)
        if hasattr(keep, "select") and not hasattr(keep, "__or__"):
            self._configured.own = keep  # a policy of the user's that cannot be joined
            return self._configured
        return _joined(keep, self._configured)


def _joined(left: Any, right: Any) -> Any:
    try:
        return left | right
    except TypeError:
        return (
            left if isinstance(right, KeepAsConfigured) else right
        )  # no policy: the manager says so


def _require_known(options: Any) -> None:
    known = inspect.signature(CheckpointManager).parameters
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ConfigError(
            f"LifecycleCallback has no option {unknown[0]!r}.",
            hint=f"It takes those of CheckpointManager: {', '.join(list(known)[1:])}.",
        )
