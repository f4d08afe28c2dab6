"""How far a training run has come."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from hfl_core import ConfigError, IncompatibleStateError
from hfl_state._best_metric import BestMetric
from hfl_state._component import FORMAT, Component, count_problems, format_problems, logger
from hfl_state._ranks import rank_and_world_size

_COUNTS = ["step", "epoch", "batch", "samples", "accumulate"]
_FIELDS: Dict[str, Any] = {
    **dict.fromkeys(_COUNTS, int),
    "world_size": int,
    "best": Mapping,
    "classes": Mapping,
}


class Progress(Component):
    """The counts of a run, as the component that saves and restores them.

    Args:
        classes: The class name of every component whose class matters on a resume.

    Attributes:
        step: Optimizer steps done.
        epoch: Epochs handed out completely.
        batch: Batches handed out.
        samples: Samples handed out by this process.
        accumulate: Batches per step, as last asked for; 0 before the first.
        pending: Batches of the group in hand that no step has covered yet.
        best: The best value of each metric.
    """

    def __init__(self, classes: Mapping[str, str]) -> None:
        self._classes = classes
        self.step = 0
        self.epoch = 0
        self.batch = 0
        self.samples = 0
        self.accumulate = 0
        self.pending = 0
        self._resumed_with = 0
        self.best: Dict[str, BestMetric] = {}

    def settle(self, accumulate: int) -> int:
        """Decide on the number of batches per step, after a resume.

        Args:
            accumulate: What is asked for.

        Returns:
            What holds.

        Raises:
            ConfigError: The run was saved with another one, and nothing was said about it.
        """
        then, self._resumed_with = self._resumed_with, 0
        if then in (0, accumulate):
            return accumulate
        text = f"The run accumulated {then} batches per step so far, not {accumulate}."
        if self.on_change == "error":
            self._resumed_with = then
            raise ConfigError(
                text,
                hint="Pass the same accumulate=, or on_change='keep' or 'override' to TrainingState.",
            )
        goes_on = then if self.on_change == "keep" else accumulate
        logger.warning("%s It goes on with %d.", text, goes_on)
        return goes_on

    def count(
        self, samples: int, *, ends_epoch: bool, accumulate: int, is_last_epoch: bool
    ) -> None:
        """Count a batch that is about to be handed out.

        Args:
            samples: Its size.
            ends_epoch: Whether it is the last of its epoch.
            accumulate: Batches per step.
            is_last_epoch: Whether training ends with this epoch, and with it the last group.
        """
        self.accumulate = accumulate
        self.batch += 1
        self.samples += samples
        self.epoch += ends_epoch
        self.pending += 1
        if self.pending >= accumulate or (ends_epoch and is_last_epoch):
            self.step += 1
            self.pending = 0

    def state_dict(self) -> Dict[str, Any]:
        """Return the counts.

        Returns:
            Plain values.

        Raises:
            IncompatibleStateError: Gradients are being accumulated, and no state dict holds them.
        """
        if self.pending:
            raise IncompatibleStateError(
                f"The batch in hand is number {self.pending} of {self.accumulate} that make up "
                f"step {self.step + 1}; a save here would lose the gradients of this group.",
                hint="Save when the state's is_step_boundary is true.",
            )
        return {
            "format": FORMAT,
            **{name: getattr(self, name) for name in _COUNTS},
            "world_size": rank_and_world_size()[1],
            "best": {name: best.state_dict() for name, best in self.best.items()},
            "classes": dict(self._classes),
        }

    def problems(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words what keeps the saved counts from being gone on from.

        Args:
            saved: What ``state_dict()`` returned.

        Returns:
            One sentence per problem.
        """
        problems = format_problems(saved, _FIELDS) or count_problems(saved, _COUNTS)
        if problems:
            return problems
        live = self._classes
        problems += [
            f"The class of {name!r} was {there} and is {live[name]} now."
            for name, there in saved["classes"].items()
            if live.get(name, there) != there
        ]
        for name, best in saved["best"].items():
            for problem in self._best_of(name, best).check(best):
                problems.append(f"Best {name!r}: {problem}")
        return problems

    def differences(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words whether there were more or fewer processes.

        Args:
            saved: A state that `problems` found nothing wrong with.

        Returns:
            One sentence, or nothing.
        """
        there, here = saved["world_size"], rank_and_world_size()[1]
        return [] if there == here else [f"The world size was {there} and is {here} now."]

    def _apply(self, saved: Mapping[str, Any]) -> None:
        for name in _COUNTS:
            setattr(self, name, saved[name])
        self.pending = 0
        self._resumed_with = self.accumulate
        best = {}
        for name, state in saved["best"].items():
            best[name] = self._best_of(name, state)
            best[name].load_state_dict(state)
        self.best = best

    def _best_of(self, name: str, state: Any) -> BestMetric:
        if name in self.best:
            return self.best[name]
        is_max = isinstance(state, Mapping) and state.get("mode") == "max"
        keeps = isinstance(state, Mapping) and state.get("history") is not None
        return BestMetric(name, "max" if is_max else "min", history=keeps)
