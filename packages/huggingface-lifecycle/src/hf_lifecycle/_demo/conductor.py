"""The conductor: starts the training program, kills it at bad moments, and starts it again."""

from __future__ import annotations

import dataclasses
import random
import time
from pathlib import Path
from typing import Any, Callable, Iterable, Protocol

from hf_lifecycle._demo.process import Event, TrainingProcess
from hfl_core import HflError

MID_EPOCH = "in mid-epoch"
DURING_SAVE = "during a save"

_POLL = 0.0005
"""Seconds between two looks into the staging folder; a save of this network takes some 20 ms."""

_PATIENCE = 300.0
"""Seconds without a word after which the program counts as hung; starting it may be slow."""


class Audience(Protocol):
    """Who is told what happens while it happens."""

    def tell(self, text: str) -> None:
        """Say one sentence."""

    def begin(self, description: str, steps: int) -> None:
        """Show that a training of so many steps begins."""

    def advance(self, step: int) -> None:
        """Show how far it is; after a kill, steps come again."""


@dataclasses.dataclass(frozen=True)
class Kill:
    """One kill and the resume after it.

    Attributes:
        moment: ``"in mid-epoch"`` or ``"during a save"``.
        step: The last step that the process had finished.
        epoch: The epoch that it was in, from 0.
        batch: How many batches of that epoch it had trained on.
        debris: What the killed save left in the staging folder, by name.
        resumed_from: The checkpoint from which the next process went on; None for the beginning.
        repeated_steps: Steps that had to be done again.
    """

    moment: str
    step: int
    epoch: int
    batch: int
    debris: list[str]
    resumed_from: str | None = None
    repeated_steps: int = 0


@dataclasses.dataclass(frozen=True)
class Training:
    """A training that reached its end.

    Attributes:
        run: Where its checkpoints are.
        steps: Steps from the beginning to the end.
        accuracy: On the test images, at the end.
        kept: The checkpoints that are left, and why.
        kills: What it went through.
    """

    run: Path
    steps: int
    accuracy: float
    kept: list[dict[str, Any]]
    kills: list[Kill]


def see_to_the_end(training: TrainingProcess, run: Path, audience: Audience) -> Training:
    """Follow a training that nobody disturbs.

    Args:
        training: The process, which may have been running for a while.
        run: Where its checkpoints are.
        audience: Who is told.

    Returns:
        The training.

    Raises:
        HflError: The program failed.
    """
    audience.begin("Undisturbed", _start(training)["steps"])
    return _finish(training, run, [], audience)


def train_with_kills(run: Path, log: Path, seed: int, audience: Audience) -> Training:
    """Train to the end, killed twice in mid-epoch and once in the middle of a save.

    Args:
        run: Where the checkpoints go.
        log: Where the program's stderr goes.
        seed: Decides the moments of the kills.
        audience: Who is told.

    Returns:
        The training, with its kills.

    Raises:
        HflError: The program failed, or the training ended before a kill caught it.
    """
    return _Conductor(run, log, seed, audience).conduct()


class _Conductor:
    def __init__(self, run: Path, log: Path, seed: int, audience: Audience) -> None:
        self._run = run
        self._log = log
        self._moments = random.Random(seed)  # noqa: S311  # nosec B311  # moments, not secrets
        self._audience = audience
        self._kills: list[Kill] = []
        self._last: Kill | None = None

    def conduct(self) -> Training:
        # Fractions of the training: the kills in mid-epoch come first, so that every save of the
        # second half is a chance to be in the middle of one.
        self._kill_in_mid_epoch(0.1, 0.25)
        self._kill_in_mid_epoch(0.3, 0.45)
        earliest = self._moments.uniform(0.5, 0.6)
        while not self._kill_during_save(earliest):
            self._audience.tell("The save was quicker than the kill: it is complete. Once more.")
        with TrainingProcess(self._run, self._log) as training:
            self._resume(training)
            return _finish(training, self._run, self._kills, self._audience)

    def _kill_in_mid_epoch(self, first: float, last: float) -> None:
        with TrainingProcess(self._run, self._log) as training:
            start = self._resume(training)
            low, high = int(first * start["steps"]), int(last * start["steps"])
            at = self._moments.choice(
                [step for step in range(low, high) if _is_in_the_middle(step, start)]
            )
            step = _watch(training, lambda done: done >= at, start, self._audience)
            step = _last_step(training.kill(), step)
            self._record(MID_EPOCH, step, start, [])

    def _kill_during_save(self, earliest: float) -> bool:
        staging = self._run / ".staging"
        with TrainingProcess(self._run, self._log) as training:
            start = self._resume(training)
            before = _saves_under_way(staging)
            step = _watch(
                training,
                lambda done: done >= earliest * start["steps"]
                and bool(_saves_under_way(staging) - before),
                start,
                self._audience,
            )
            step = _last_step(training.kill(), step)
            debris = sorted(_saves_under_way(staging) - before)
            self._record(DURING_SAVE if debris else "just after a save", step, start, debris)
            return bool(debris)

    def _record(self, moment: str, step: int, start: Event, debris: list[str]) -> None:
        epoch, batch = divmod(step, start["steps_per_epoch"])
        self._last = Kill(moment, step, epoch, batch, debris)
        left = f" It left {', '.join(debris)} unfinished." if debris else ""
        self._audience.tell(f"Killed {moment}: step {step}, batch {batch} of epoch {epoch}.{left}")

    def _resume(self, training: TrainingProcess) -> Event:
        start = _start(training)
        if self._last is None:
            self._audience.begin("With kills", start["steps"])
            return start
        kill = dataclasses.replace(
            self._last,
            resumed_from=start["resumed_from"],
            repeated_steps=self._last.step - start["step"],
        )
        self._kills.append(kill)
        self._audience.tell(
            f"Resumed from {kill.resumed_from or 'the beginning'}; "
            f"{kill.repeated_steps} steps to do again."
        )
        return start


def _start(training: TrainingProcess) -> Event:
    event = training.next_event(timeout=_PATIENCE)
    if event is None:
        raise _hung()
    return event


def _watch(
    training: TrainingProcess, is_time: Callable[[int], bool], start: Event, audience: Audience
) -> int:
    step: int = start["step"]
    last_word = time.monotonic()
    while not is_time(step):
        event = training.next_event(timeout=_POLL)
        if event is None:
            if time.monotonic() - last_word > _PATIENCE:
                raise _hung()
            continue
        last_word = time.monotonic()
        if event["event"] == "end":
            raise HflError(
                "The training reached its end before it could be killed.",
                hint="The machine may be very busy; run it again.",
            )
        step = event["step"]
        audience.advance(step)
    return step


def _finish(
    training: TrainingProcess, run: Path, kills: list[Kill], audience: Audience
) -> Training:
    while True:
        event = training.next_event(timeout=_PATIENCE)
        if event is None:
            raise _hung()
        audience.advance(event["step"])
        if event["event"] == "end":
            training.wait()
            return Training(run, event["step"], event["accuracy"], event["kept"], kills)


def _is_in_the_middle(step: int, start: Event) -> bool:
    # A few steps pass between the decision and the end of the process.
    margin = 5
    batch: int = step % start["steps_per_epoch"]
    since_save: int = step % start["save_every"]
    latest_batch: int = start["steps_per_epoch"] - 2 * margin
    latest_since: int = start["save_every"] - 2 * margin
    return margin <= batch <= latest_batch and margin <= since_save <= latest_since


def _last_step(events: Iterable[Event], step: int) -> int:
    return max([step, *(int(event["step"]) for event in events)])


def _saves_under_way(folder: Path) -> set[str]:
    try:
        # Beside each of these folders lies a file that says which process is at work on it.
        return {entry.name for entry in folder.iterdir() if entry.is_dir()}
    except FileNotFoundError:  # no save has begun yet
        return set()


def _hung() -> HflError:
    return HflError(
        f"The training process has said nothing for {_PATIENCE:.0f} seconds.",
        hint="Run it again; if it happens again, report it with the log.",
    )
