"""`ModelRegistry`: what is registered, validated, published and loaded."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any, Dict, Mapping, Tuple

from hfl_core.errors import ConflictError
from hfl_registry._autos import builtin_config, register_autos, unregister_autos
from hfl_registry._card import make_card
from hfl_registry._heads import auto_class_named, head_of
from hfl_registry._registrations import TABLE, Registration, full_name
from hfl_registry._stage import Staged, stage

__all__ = ["ModelRegistry", "Published"]


@dataclasses.dataclass(frozen=True)
class Published:
    """What became of a publication.

    Attributes:
        repo_id: The repository.
        commit: The commit that holds the model.
        files: What it consists of.
        tag: The tag that marks it, if one was asked for.
    """

    repo_id: str
    commit: str
    files: Tuple[str, ...]
    tag: str | None = None


class ModelRegistry:
    """Publish models that others load with one call.

    Args:
        profile: The profile to act as; None for what hfl-auth finds.
        endpoint: The Hub's address; None for what hfl-auth finds.
    """

    def __init__(self, *, profile: str | None = None, endpoint: str | None = None) -> None:
        self._profile = profile
        self._endpoint = endpoint

    def register(
        self,
        model_class: Any,
        config_class: Any = None,
        tokenizer_class: Any = None,
        processor_class: Any = None,
        image_processor_class: Any = None,
        *,
        auto_class: str | None = None,
    ) -> Registration:
        """Say which classes belong together, and let the Auto classes find them."""
        model_type = config_class.model_type
        own = builtin_config(model_type)
        if own is not None and own is not config_class:
            raise ConflictError(f"{model_type!r} is a model type of transformers' own.")
        head = auto_class or head_of(model_class)
        auto_class_named(head)
        known = TABLE.get(model_type)
        if known is None or full_name(known.config_class) != full_name(config_class):
            known = Registration(model_type, config_class, {})
        found = known.with_model(
            head,
            model_class,
            config_class=config_class,
            tokenizer_class=tokenizer_class or known.tokenizer_class,
            processor_class=processor_class or known.processor_class,
            image_processor_class=image_processor_class or known.image_processor_class,
        )
        register_autos(found)
        TABLE.put(found)
        return found

    def unregister(self, model_type: str) -> None:
        """Undo a registration."""
        known = TABLE.get(model_type)
        if known is not None:
            unregister_autos(known)
            TABLE.drop(model_type)

    def registrations(self) -> Tuple[Registration, ...]:
        """List what is registered in this process."""
        return tuple(TABLE)

    def publish(
        self,
        model: Any,
        repo_id: str,
        *,
        tokenizer: Any = None,
        private: bool | None = None,
        tag: str | None = None,
        license: str | None = None,  # noqa: A002  # the card's own name for it
    ) -> Published:
        """Write a model, and send it in one commit."""
        from hfl_repo import RepoManager

        companions = {"tokenizer": tokenizer} if tokenizer is not None else {}
        with tempfile.TemporaryDirectory(prefix="hfl-") as name:
            staged = self._stage(model, Path(name), companions)
            repo = RepoManager(repo_id, profile=self._profile, endpoint=self._endpoint)
            repo.create(private=private)
            card = make_card(
                repo.repo_id,
                config=staged.config,
                loading=[f"{staged.auto_class}.from_pretrained({repo.repo_id!r})"],
                model=model,
                license=license,
            )
            files = {path: staged.folder / path for path in staged.files}
            repo.commit(files, message="Publish the model")
            update = repo.update_card(card.metadata, body=card.body, on_conflict="theirs")
            if tag is not None:
                repo.create_tag(tag, update.commit)
            return Published(repo.repo_id, update.commit, staged.files, tag)

    def load(
        self, repo_id: str, *, revision: str | None = None, trust_remote_code: bool = False
    ) -> Any:
        """Load a published model."""
        from transformers import AutoConfig

        from hfl_repo import RepoManager

        repo = RepoManager(repo_id, profile=self._profile, endpoint=self._endpoint)
        folder = repo.download(revision=revision)
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=trust_remote_code)
        heads: Mapping[str, str] = getattr(config, "auto_map", None) or {}
        name = next((each for each in heads if each.startswith("AutoModel")), "AutoModel")
        return auto_class_named(name).from_pretrained(
            str(folder), trust_remote_code=trust_remote_code
        )

    def _stage(self, model: Any, folder: Path, companions: Dict[str, Any]) -> Staged:
        registration = TABLE.of(type(model))
        return stage(folder, model, head_of(type(model)), registration, companions)
