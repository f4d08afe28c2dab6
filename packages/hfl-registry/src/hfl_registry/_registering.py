"""Registering classes: which belong together, and which Auto class loads them."""

from __future__ import annotations

import os
from typing import Any, List, Sequence, Tuple

from hfl_core.errors import NotFoundError
from hfl_registry._autos import builtin_config, is_builtin, register_autos, unregister_autos
from hfl_registry._base import RegistryBase
from hfl_registry._classes import place_of
from hfl_registry._heads import auto_class_named, head_of
from hfl_registry._plain import is_plain, model_type_of
from hfl_registry._registrations import TABLE, Registration, full_name
from hfl_registry.errors import ModelValidationError, RegistrationConflictError

__all__ = ["Registering"]


class Registering(RegistryBase):
    """What `ModelRegistry` knows of classes. It is the process's: all managers share it."""

    def register(
        self,
        model_class: Any,
        config_class: Any = None,
        tokenizer_class: Any = None,
        processor_class: Any = None,
        image_processor_class: Any = None,
        *,
        auto_class: str | None = None,
        requirements: Sequence[str] = (),
        data_files: Sequence[str | os.PathLike[str]] = (),
    ) -> Registration:
        """Say which classes belong together.

        transformers' Auto classes find them from now on in this process, and what is published says so
        to everybody else. Several heads of one configuration are registered one after the other. Doing
        it again with a newer definition of the same classes, as a notebook does, replaces the old one.

        Args:
            model_class: A ``PreTrainedModel``, or a plain ``nn.Module``.
            config_class: Its configuration; None for a plain module, whose constructor says it all.
            tokenizer_class: Its tokenizer, where it is not a library's.
            processor_class: Its processor.
            image_processor_class: Its image processor.
            auto_class: The Auto class that loads it, where its name does not tell:
                ``"AutoModelForCausalLM"``.
            requirements: What its code needs that is to be installed rather than brought along, as
                for pip; what is imported from an index is found without.
            data_files: Files beside the code that it reads by names that are made at run time.

        Returns:
            The registration, with all heads of the configuration so far.

        Raises:
            ModelValidationError: The classes do not belong together, or lack what makes them loadable.
            RegistrationConflictError: The model type is taken.

        Example:
            >>> from transformers import BertConfig, BertForMaskedLM
            >>> class NoteConfig(BertConfig):
            ...     model_type = "note"
            >>> class NoteForMaskedLM(BertForMaskedLM):
            ...     config_class = NoteConfig
            >>> registry = ModelRegistry()
            >>> list(registry.register(NoteForMaskedLM, NoteConfig).models)
            ['AutoModelForMaskedLM']
            >>> registry.unregister("note")
        """
        if config_class is None and is_plain(model_class):
            model_type, head = model_type_of(model_class), auto_class or "AutoModel"
        else:
            _check_classes(model_class, config_class)
            model_type, head = config_class.model_type, auto_class or head_of(model_class)
        auto_class_named(head)
        _check_free(model_type, model_class, config_class)
        known = TABLE.get(model_type)
        if known is None or config_class is None:
            known = Registration(model_type, config_class, {})
        found = known.with_model(
            head,
            model_class,
            config_class=config_class,
            tokenizer_class=tokenizer_class or known.tokenizer_class,
            processor_class=processor_class or known.processor_class,
            image_processor_class=image_processor_class or known.image_processor_class,
            requirements=(*known.requirements, *requirements),
            data_files=(*known.data_files, *(os.fspath(path) for path in data_files)),
        )
        register_autos(found)
        TABLE.put(found)
        return found

    def unregister(self, model: Any) -> None:
        """Undo a registration; the Auto classes do not find its classes any more.

        Args:
            model: The model type, or one of the registered classes.

        Raises:
            NotFoundError: There is no such registration.
        """
        found = TABLE.get(model) if isinstance(model, str) else TABLE.of(model)
        if found is None:
            name = model if isinstance(model, str) else getattr(model, "__name__", model)
            known = ", ".join(each.model_type for each in TABLE) or "none"
            raise NotFoundError(
                f"{name!r} is not registered.", hint=f"Registered model types: {known}."
            )
        unregister_autos(found)
        TABLE.drop(found.model_type)

    def registrations(self) -> Tuple[Registration, ...]:
        """List what is registered in this process, by model type."""
        return tuple(TABLE)


def _check_classes(model_class: Any, config_class: Any) -> None:
    problems: List[str] = []
    own = getattr(model_class, "config_class", None)
    if config_class is None:
        given = f" (it names {own.__name__})" if own is not None else ""
        problems.append(f"{place_of(model_class)}: no configuration class was given{given}")
    elif own is None:
        problems.append(
            f"{place_of(model_class)}: it does not name its configuration "
            f"(config_class = {config_class.__name__})"
        )
    elif full_name(own) != full_name(config_class):
        problems.append(
            f"{place_of(model_class)}: its config_class is {own.__name__}, not {config_class.__name__}"
        )
    if config_class is not None and not getattr(config_class, "model_type", ""):
        problems.append(
            f"{place_of(config_class)}: {config_class.__name__} has no model_type "
            f"(model_type = {model_type_of(model_class)!r})"
        )
    if problems:
        raise ModelValidationError(model_class.__name__, problems)


def _check_free(model_type: str, model_class: Any, config_class: Any) -> None:
    builtin = builtin_config(model_type)
    if builtin is not None and not (config_class is not None and is_builtin(config_class)):
        raise RegistrationConflictError(
            model_type, holder=f"{builtin.__name__} of transformers", suggestion=f"my-{model_type}"
        )
    known = TABLE.get(model_type)
    if known is None or known.config_class is config_class is not None:
        return
    before = known.config_class or next(iter(known.models.values()))
    now = config_class or model_class
    if full_name(before) != full_name(now):
        raise RegistrationConflictError(
            model_type, holder=full_name(before), suggestion=f"{model_type}-2"
        )
