"""What this process has registered: which classes belong to a model type."""

from __future__ import annotations

import dataclasses
import threading
from types import MappingProxyType
from typing import Any, Dict, Iterator, Mapping, Tuple

__all__ = ["Registration"]


def full_name(cls: Any) -> str:
    """Name a class with its module."""
    return f"{cls.__module__}.{cls.__qualname__}"


@dataclasses.dataclass(frozen=True)
class Registration:
    """The classes that belong to one type of model.

    Attributes:
        model_type: The name that the configuration carries.
        config_class: The configuration's class; None for a plain ``nn.Module``, whose configuration is
            made from its constructor.
        models: Auto class to model class: ``{"AutoModelForCausalLM": Digits}``.
        tokenizer_class: The tokenizer's class, if it has one of its own.
        processor_class: The processor's.
        image_processor_class: The image processor's.
        requirements: What its code needs beside what its imports say, as for pip.
        data_files: Files beside the code that it reads by names that are made at run time.
    """

    model_type: str
    config_class: Any
    models: Mapping[str, Any]
    tokenizer_class: Any = None
    processor_class: Any = None
    image_processor_class: Any = None
    requirements: Tuple[str, ...] = ()
    data_files: Tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the model is a plain ``nn.Module``."""
        return self.config_class is None

    @property
    def classes(self) -> Tuple[Any, ...]:
        """All classes of it, each once."""
        found = (
            self.config_class,
            *self.models.values(),
            self.tokenizer_class,
            self.processor_class,
            self.image_processor_class,
        )
        return tuple(dict.fromkeys(cls for cls in found if cls is not None))

    def with_model(self, auto_class: str, model_class: Any, **changes: Any) -> Registration:
        """Return this with one more head."""
        models = MappingProxyType({**self.models, auto_class: model_class})
        return dataclasses.replace(self, models=models, **changes)


class Table:
    """The registrations of this process, by model type."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: Dict[str, Registration] = {}

    def __iter__(self) -> Iterator[Registration]:
        with self._lock:
            found = sorted(self._found.items())
        return iter([registration for _, registration in found])

    def get(self, model_type: str) -> Registration | None:
        """Return what is registered under a name."""
        with self._lock:
            return self._found.get(model_type)

    def of(self, cls: Any) -> Registration | None:
        """Return the registration that a class belongs to."""
        name = full_name(cls)
        for found in self:
            if any(full_name(each) == name for each in found.classes):
                return found
        return None

    def put(self, registration: Registration) -> None:
        """Take a registration in, in place of what was under its name."""
        with self._lock:
            self._found[registration.model_type] = registration

    def drop(self, model_type: str) -> None:
        """Take a registration out."""
        with self._lock:
            self._found.pop(model_type, None)


# transformers' own tables are of the process as well, so this cannot be each manager's own.
TABLE = Table()
