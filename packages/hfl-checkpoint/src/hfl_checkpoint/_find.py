"""Which checkpoint is meant."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, List, Mapping, Sequence, Union

from hfl_checkpoint._checkpoint import Checkpoint
from hfl_checkpoint._retention import ranked
from hfl_checkpoint.errors import CheckpointDamagedError, CheckpointNotFoundError
from hfl_core import ConfigError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

Which = Union[str, int, Checkpoint]


def find(
    which: Which,
    checkpoints: Sequence[Checkpoint],
    *,
    directory: str,
    mode: Literal["min", "max"] = "min",
    unreadable: Mapping[Path, CheckpointDamagedError] = MappingProxyType({}),
    copies: Sequence[Checkpoint] = (),
) -> Checkpoint:
    """Find one checkpoint among a run's.

    Args:
        which: ``"latest"``, ``"best:<metric>"`` (``"best:<metric>:max"`` when more is better), a step,
            a name or label, or a `Checkpoint`.
        checkpoints: The run's, oldest first.
        directory: The run's directory, for the message.
        mode: What is best, where `which` does not say.
        unreadable: Directories whose manifest is damaged, with the error.
        copies: Copies that somebody made of some of them; they can be asked for by name.

    Raises:
        CheckpointDamagedError: It names one whose manifest is damaged.
        CheckpointNotFoundError: There is none; the message says which ones exist.
        ConfigError: `which` is of another type.
    """
    if isinstance(which, Checkpoint):
        found = [item for item in (*copies, *checkpoints) if item.name == which.name]
        wanted = f"called {which.name!r}"
    elif isinstance(which, bool) or not isinstance(which, (str, int)):
        raise ConfigError(
            f"A checkpoint cannot be named by {which!r}.",
            hint="Pass 'latest', 'best:<metric>', a step, a name or a label.",
        )
    elif which == "latest":
        found, wanted = list(checkpoints), "at all"
    elif isinstance(which, int):
        found = [item for item in checkpoints if item.step == which]
        wanted = f"for step {which}"
    elif which.startswith("best:"):
        found, wanted = _best(which, checkpoints, mode)
    else:
        named = [item for item in (*copies, *checkpoints) if item.name == which]
        found = named or [item for item in checkpoints if which in item.labels]
        wanted = f"called {which!r}"
    if found:
        return found[-1]
    for path, error in unreadable.items():
        if path.name in (which, getattr(which, "name", None)):
            raise error
    raise CheckpointNotFoundError(
        wanted,
        directory=directory,
        available=[item.name for item in checkpoints],
        unreadable=[path.name for path in unreadable],
        metrics=metrics_of(checkpoints) if wanted.startswith("with a value of") else None,
    )


def which_of(text: str) -> str | int:
    """Read how a text names one checkpoint: what looks like a number is a step."""
    return int(text) if text.isdecimal() else text


def metrics_of(checkpoints: Sequence[Checkpoint]) -> List[str]:
    """Name the metrics that any of the checkpoints has."""
    return sorted({name for item in checkpoints for name in item.metrics})


def require_label(label: object, checkpoints: Sequence[Checkpoint]) -> None:
    """Refuse a label that `find` would read as something else, or that nobody could type.

    Args:
        label: The label.
        checkpoints: The run's: no label is the name of one of them.

    Raises:
        ConfigError: It is one.
    """
    if not isinstance(label, str) or not label.strip() or not label.isprintable():
        problem = "it is no text that can be typed"
    elif (
        label == "latest"
        or label.isdigit()
        or label.startswith(("best:", "hf://"))
        or any(item.name == label for item in checkpoints)
    ):
        problem = "where a checkpoint is asked for, it means something else"
    else:
        return
    raise ConfigError(
        f"{label!r} cannot be a label: {problem}.", hint="Use a word, such as 'baseline'."
    )


def find_by(
    checkpoints: Sequence[Checkpoint],
    *,
    directory: str,
    step: int | None,
    epoch: int | None,
    name: str | None,
    label: str | None,
) -> Checkpoint:
    """Find the newest checkpoint that has all of the properties that are not None.

    Raises:
        CheckpointNotFoundError: There is none.
        ConfigError: All are None.
    """
    properties = {"step": step, "epoch": epoch, "name": name, "label": label}
    wanted = {key: value for key, value in properties.items() if value is not None}
    if not wanted:
        raise ConfigError(
            "Nothing says which checkpoint to get.",
            hint="Pass step=…, epoch=…, name=… or label=….",
        )
    for item in reversed(checkpoints):
        found = {"step": item.step, "epoch": item.epoch, "name": item.name}
        if all(
            value in item.labels if key == "label" else found[key] == value
            for key, value in wanted.items()
        ):
            return item
    raise CheckpointNotFoundError(
        "with " + " and ".join(f"{key} {value!r}" for key, value in wanted.items()),
        directory=directory,
        available=[item.name for item in checkpoints],
    )


def _best(
    which: str, checkpoints: Sequence[Checkpoint], mode: Literal["min", "max"]
) -> tuple[List[Checkpoint], str]:
    metric = which[len("best:") :]
    for suffix in (":min", ":max"):
        if metric.endswith(suffix):
            metric, mode = metric[: -len(suffix)], "max" if suffix == ":max" else "min"
    return list(ranked(checkpoints, metric, mode))[:1], f"with a value of {metric!r}"
