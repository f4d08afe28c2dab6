"""What an import gives back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Tuple

if TYPE_CHECKING:
    import os

    from hfl_checkpoint._checkpoint import Checkpoint


@dataclasses.dataclass(frozen=True)
class ImportedCheckpoint(Mapping[str, Any]):
    """The states of a checkpoint that something else wrote: a mapping of component to state.

    Attributes:
        source: What wrote it: ``"torch"``, ``"safetensors"``, ``"trainer"``, ``"accelerate"`` or
            ``"lightning"``.
        components: Component to state, as ``load_state_dict`` of the class that was saved takes it.
        kinds: Component to ``"model"``, ``"optimizer"``, ``"stateful"`` or ``"mapping"``.
        step: Optimizer steps taken, where that is known.
        epoch: Completed epochs, where that is known.
        metrics: The last metrics of that step.
        skipped: What was left out because reading it would have run code, one clause each.
        files: Configurations and tokenizers beside the model, by name.
    """

    source: str
    components: Dict[str, Any]
    kinds: Dict[str, str]
    step: int | None
    epoch: int | None
    metrics: Dict[str, float]
    skipped: Tuple[str, ...]
    files: Dict[str, bytes]

    def __getitem__(self, name: str) -> Any:
        return self.components[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.components)

    def __len__(self) -> int:
        return len(self.components)

    def save(self, directory: str | os.PathLike[str], *, step: int | None = None) -> Checkpoint:
        """Write it as the first checkpoint of a new run, from which training can be resumed.

        Args:
            directory: The run's directory; it may not exist yet.
            step: Optimizer steps taken, where the checkpoint itself does not say.

        Returns:
            The checkpoint.

        Raises:
            ConflictError: The directory holds checkpoints already.
            ConfigError: The step is not known.
        """
        from hfl_checkpoint._foreign._write import write

        return write(self, directory, step=step)


@dataclasses.dataclass
class Draft:
    """What is known while a checkpoint is read."""

    source: str
    components: Dict[str, Any] = dataclasses.field(default_factory=dict)
    kinds: Dict[str, str] = dataclasses.field(default_factory=dict)
    step: int | None = None
    epoch: int | None = None
    metrics: Dict[str, float] = dataclasses.field(default_factory=dict)
    skipped: List[str] = dataclasses.field(default_factory=list)
    files: Dict[str, bytes] = dataclasses.field(default_factory=dict)

    def add(self, name: str, kind: str, state: Any) -> None:
        """Add a component."""
        self.components[name] = state
        self.kinds[name] = kind

    def done(self) -> ImportedCheckpoint:
        """The result."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return ImportedCheckpoint(**{**fields, "skipped": tuple(self.skipped)})
