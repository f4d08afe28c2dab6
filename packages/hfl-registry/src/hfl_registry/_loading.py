"""Loading what was published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from hfl_core.errors import ConfigError, NotFoundError
from hfl_registry._adapters._load import holds_adapters, load_published
from hfl_registry._base import RegistryBase
from hfl_registry._heads import BASE, auto_class_named
from hfl_registry._lifecycle import stage_revision
from hfl_registry._registrations import TABLE

__all__ = ["Loading", "auto_class_of", "loading_lines"]

_COMPANIONS = {
    "tokenizer": "AutoTokenizer",
    "processor": "AutoProcessor",
    "image_processor": "AutoImageProcessor",
}


class Loading(RegistryBase):
    """What `ModelRegistry` brings here."""

    def load(
        self,
        repo_id: str,
        *,
        revision: str | None = None,
        stage: str | None = None,
        trust_remote_code: bool = False,
        auto_class: str | None = None,
        **options: Any,
    ) -> Any:
        """Load a model from a repository, each file verified by its digest.

        Adapters are loaded on the base that they are pinned to, with the tokens that were added to it.

        Args:
            repo_id: The repository, or a folder with the same files.
            revision: A branch, a tag or a commit; the default branch if None.
            stage: The stage whose model to load, instead of a revision: ``"production"``.
            trust_remote_code: Whether the code in the repository may run; look at it first.
            auto_class: The Auto class to load it with; None for what its configuration says.
            **options: For ``from_pretrained``. Of adapters also ``base`` and ``base_revision`` (another
                base than the pinned one), ``adapters`` (which of several) and ``is_trainable``.

        Returns:
            The model, in evaluation mode.

        Raises:
            RepoNotFoundError: There is no such repository.
            RevisionNotFoundError: It has no such revision.
            ConfigError: It brings code of its own, which was not to run.
            NotFoundError: There is no model in it.
            StageNotFoundError: Nothing is in that stage.
            AdapterMismatchError: Adapters do not fit their base.
        """
        place = Path(repo_id)
        if stage is not None:
            revision = stage_revision(self._repo(repo_id), stage, revision)
        folder = place if place.is_dir() else self._repo(repo_id).download(revision=revision)
        if holds_adapters(folder):
            return load_published(folder, self._repo, options, trust_remote_code=trust_remote_code)
        config = _config(folder, repo_id)
        name = auto_class or auto_class_of(config)
        code = config.get("auto_map") or {}
        is_known = TABLE.get(str(config.get("model_type", ""))) is not None
        if code and not trust_remote_code and not is_known:
            files = sorted({str(each).rpartition(".")[0] + ".py" for each in code.values()})
            raise ConfigError(
                f"{repo_id!r} brings code of its own ({', '.join(files)}), which would run here.",
                hint="Read it, then pass trust_remote_code=True (--trust-remote-code).",
            )
        return auto_class_named(name).from_pretrained(
            str(folder), trust_remote_code=trust_remote_code, **options
        )


def _config(folder: Path, repo_id: str) -> Dict[str, Any]:
    path = folder / "config.json"
    if not path.exists():
        raise NotFoundError(
            f"There is no model in {repo_id!r}: it has no config.json.",
            hint="Is it the right revision? See: hfl repo info",
        )
    found: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def auto_class_of(config: Mapping[str, Any]) -> str:
    """Name the Auto class that loads a model.

    Args:
        config: The content of its ``config.json``.
    """
    architectures = config.get("architectures") or [""]
    heads: Dict[str, str] = config.get("auto_map") or {}
    known = TABLE.get(str(config.get("model_type", "")))
    if known is not None:
        for name, cls in known.models.items():
            if cls.__name__ == architectures[0]:
                return name
    models = {name: place for name, place in heads.items() if name.startswith(BASE)}
    for name, place in models.items():
        if str(place).rpartition(".")[2] == architectures[0]:
            return name
    if models:
        return next(iter(models))
    return _named_like(str(architectures[0]))


def _named_like(architecture: str) -> str:
    import transformers

    from hfl_registry._heads import head_of

    cls = getattr(transformers, architecture, None)
    return BASE if cls is None else head_of(cls)


def loading_lines(
    repo_id: str, auto_class: str, *, has_code: bool, companions: Sequence[str] = ()
) -> List[str]:
    """Write the lines of Python that load a model.

    Args:
        repo_id: The repository.
        auto_class: The Auto class.
        has_code: Whether it brings code of its own.
        companions: ``"tokenizer"``, ``"processor"``, ``"image_processor"``, those that it brings.
    """
    trust = ", trust_remote_code=True" if has_code else ""
    names = [auto_class, *(_COMPANIONS[each] for each in companions)]
    lines = [f"from transformers import {', '.join(sorted(names))}", ""]
    lines.append(f'model = {auto_class}.from_pretrained("{repo_id}"{trust})')
    lines += [
        f'{each} = {_COMPANIONS[each]}.from_pretrained("{repo_id}"{trust})' for each in companions
    ]
    return lines
