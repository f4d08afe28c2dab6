"""Promotion: the model of a checkpoint becomes a published one."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, Dict, Mapping, Tuple

from hfl_core import digest_file
from hfl_core.errors import IntegrityError, NotFoundError
from hfl_registry._loading import Loading
from hfl_registry._publishing import Publishing
from hfl_registry._sending import Published

__all__ = ["Promoting", "companions_of"]

_MANIFEST = "manifest.json"
_METADATA = "metadata.json"


class Promoting(Loading, Publishing):
    """What `ModelRegistry` makes of folders that training left."""

    def promote(
        self,
        checkpoint: str | os.PathLike[str],
        repo_id: str,
        *,
        trust_remote_code: bool = False,
        auto_class: str | None = None,
        **options: Any,
    ) -> Published:
        """Publish the model of a checkpoint, or of any folder that ``save_pretrained`` wrote.

        The checkpoint's files are compared with its manifest first. Its metrics and the record of its run go
        into the card, its tokenizer and processor come along, and the optimizer and other state stay behind.

        Args:
            checkpoint: The folder.
            repo_id: Where to.
            trust_remote_code: Whether code that lies in the folder may run; classes that are registered
                here need none of it.
            auto_class: The Auto class to load it with; None for what its configuration says.
            **options: As for `publish`.

        Returns:
            What became of it.

        Raises:
            NotFoundError: There is no model in the folder.
            IntegrityError: A file is not what the checkpoint's manifest says.
            HflError: As for `publish`.
        """
        folder = Path(checkpoint)
        if not (folder / "config.json").exists():
            raise NotFoundError(
                f"There is no model in {folder.name!r}: it has no config.json.",
                hint="A checkpoint has one when its model has a configuration of transformers'.",
            )
        manifest = _checked_manifest(folder)
        given = {**_told(folder, manifest), **options}
        model = self.load(str(folder), trust_remote_code=trust_remote_code, auto_class=auto_class)
        for name, companion in companions_of(folder, trust=trust_remote_code).items():
            given.setdefault(name, companion)
        return self.publish(model, repo_id, **given)


def _checked_manifest(folder: Path) -> Mapping[str, Any] | None:
    path = folder / _MANIFEST
    if not path.exists():
        return None
    found: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for file in found.get("files", ()):
        name = str(file["path"])
        if name.startswith("state/"):
            continue
        if not (folder / name).exists():
            raise IntegrityError(f"{name!r} of {folder.name!r} is missing.", hint=_OTHERS)
        if digest_file(folder / name) != file.get("xxh3-128"):
            raise IntegrityError(f"{name!r} of {folder.name!r} is damaged.", hint=_OTHERS)
    return found


_OTHERS = "Find one that is intact with: hfl checkpoint verify"


def _told(folder: Path, manifest: Mapping[str, Any] | None) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    if (folder / _METADATA).exists():
        from hfl_metadata import read_metadata

        found["metadata"] = read_metadata(folder / _METADATA)
    if manifest is not None:
        metrics = {
            name: value
            for name, value in (manifest.get("metrics") or {}).items()
            if isinstance(value, (int, float)) and math.isfinite(value)
        }
        found["metrics"] = metrics or None
        found["message"] = f"Publish the model of {folder.name}"
    return found


_FILES: Tuple[Tuple[str, str, str], ...] = (
    ("tokenizer", "tokenizer_config.json", "AutoTokenizer"),
    ("processor", "processor_config.json", "AutoProcessor"),
    ("image_processor", "preprocessor_config.json", "AutoImageProcessor"),
)


def companions_of(folder: str | os.PathLike[str], *, trust: bool) -> Dict[str, Any]:
    """Load the tokenizer and the processors of a folder, those that there are."""
    import transformers

    folder = Path(folder)
    found: Dict[str, Any] = {}
    for name, file, auto in _FILES:
        if (folder / file).exists() and not ("processor" in found and name == "image_processor"):
            cls = getattr(transformers, auto)
            found[name] = cls.from_pretrained(str(folder), trust_remote_code=trust)
    return found
