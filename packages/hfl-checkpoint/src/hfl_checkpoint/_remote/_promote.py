"""Promotion: a checkpoint's model becomes what people find at the root of ``main``."""

from __future__ import annotations

import dataclasses
import fnmatch
import json
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple, Union

from hfl_checkpoint._components import MODEL, PEFT
from hfl_checkpoint._manifest import Manifest, read_manifest
from hfl_checkpoint._remote._card import FIELD, card_of
from hfl_checkpoint._remote._parts import manifest_identity
from hfl_checkpoint.errors import NoModelError
from hfl_core import ConflictError, ValidationError, digest_file, new_digest
from hfl_repo import HeadMovedError, RefExistsError

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_checkpoint._remote._state import RemoteState
    from hfl_repo import RemoteFile, RepoManager, RepoTree, TransferReport

    Source = Union[Path, RemoteFile]

_MAIN = "main"
_ATTEMPTS = 20

# Weights that lie beside those of the new model would be taken for its own.
_WEIGHTS = (
    "*.safetensors",
    "*.safetensors.index.json",
    "pytorch_model*.bin",
    "pytorch_model*.bin.index.json",
    "adapter_model.bin",
)


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A checkpoint's content, wherever it is.

    Attributes:
        name: The checkpoint's name.
        manifest: Its manifest.
        files: Its files by path: here, or on the Hub.
        commit: The commit that has those on the Hub.
    """

    name: str
    manifest: Manifest
    files: Mapping[str, Source]
    commit: str | None = None

    def read(self, path: str, repo: RepoManager, folder: str) -> bytes:
        """Read a small file, and make sure that it is what was saved."""
        source = self.files[path]
        data = (
            repo.read(f"{folder}/{self.name}/{path}", self.commit)
            if _is_remote(source)
            else source.read_bytes()  # type: ignore[union-attr]  # it is a path
        )
        digest = new_digest()
        digest.update(data)
        expected = next(file.xxh3 for file in self.manifest.files if file.path == path)
        if digest.hexdigest() != expected:
            raise ConflictError(f"{path!r} of {self.name!r} is not what was saved.")
        return data


@dataclasses.dataclass(frozen=True)
class PromotionReport:
    """What became of a promotion.

    Attributes:
        checkpoint: The name of the checkpoint.
        commit: The commit of ``main`` that people see now.
        tag: The tag that marks it, if one was asked for.
        files: The model's files at the root.
        removed: Files of an earlier model that went.
        bytes_sent: Content that went over the wire.
        bytes_copied: Content that the Hub had already.
        card_kept: Fields of the card that stay as people left them.
        is_dry_run: Whether this is only what would be done.
    """

    checkpoint: str
    commit: str
    tag: str | None
    files: Tuple[str, ...]
    removed: Tuple[str, ...] = ()
    bytes_sent: int = 0
    bytes_copied: int = 0
    card_kept: Tuple[str, ...] = ()
    is_dry_run: bool = False


def promote(
    repo: RepoManager,
    bundle: Bundle,
    folder: str,
    *,
    tag: str | None,
    component: str | None,
    private: bool | None,
    dry_run: bool = False,
) -> PromotionReport:
    """Put a checkpoint's model at the root of ``main``, say so in the card, and tag it.

    Args:
        repo: The repository.
        bundle: The checkpoint.
        folder: The folder of the checkpoints on their branch.
        tag: A name for the result.
        component: Which model, where there are several.
        private: What the repository has to be.
        dry_run: Only say what would be done.

    Returns:
        What became of it. Doing it again changes nothing.

    Raises:
        NoModelError: The checkpoint holds no such model.
        RefExistsError: The tag marks something else.
    """
    chosen = _model_files(bundle, component)
    earlier = _tagged(repo, tag)
    for attempt in range(_ATTEMPTS):
        main = repo.tree(_MAIN)
        if earlier is not None and earlier != main.commit:
            raise RefExistsError(repo.repo_id, str(tag), kind="tag", target=earlier)
        removed = _superseded(repo, main, chosen)
        files, copies = _sources(repo, bundle, folder, chosen)
        try:
            report = repo.commit(
                files,
                copies=copies,
                delete=removed,
                message=f"Promote {bundle.name}",
                revision=_MAIN,
                on=main,
                private=private,
                dry_run=dry_run,
            )
            break
        except HeadMovedError:
            if attempt == _ATTEMPTS - 1:
                raise
    names = tuple(sorted(chosen))
    if dry_run:
        return _reported(bundle, report, main.commit, tag, names, removed, is_dry_run=True)
    card = card_of(repo, bundle, names, _small(repo, bundle, folder, chosen))
    update = repo.update_card(
        card.metadata,
        body=card.body,
        revision=_MAIN,
        on_conflict="theirs",
        message=f"Describe {bundle.name}",
    )
    if tag is not None:
        repo.create_tag(tag, update.commit, message=f"Checkpoint {bundle.name}")
    done = _reported(bundle, report, update.commit, tag, names, removed)
    return dataclasses.replace(done, card_kept=update.kept)


def _reported(
    bundle: Bundle,
    report: TransferReport,
    commit: str,
    tag: str | None,
    names: Tuple[str, ...],
    removed: List[str],
    *,
    is_dry_run: bool = False,
) -> PromotionReport:
    return PromotionReport(
        checkpoint=bundle.name,
        commit=commit,
        tag=tag,
        files=names,
        removed=tuple(removed),
        bytes_sent=report.bytes_sent,
        bytes_copied=report.bytes_copied,
        is_dry_run=is_dry_run,
    )


def _model_files(bundle: Bundle, component: str | None) -> Dict[str, str]:
    """Map the path at the root to the path in the checkpoint, for all files of the model."""
    entries = bundle.manifest.components
    models = [name for name in bundle.manifest.names if entries[name].kind in (MODEL, PEFT)]
    name = component or ("model" if "model" in models or len(models) != 1 else models[0])
    if name not in models:
        raise NoModelError(bundle.name, name, models=models)
    if entries[name].compression is not None:
        raise ValidationError(
            f"The model {name!r} of checkpoint {bundle.name!r} is compressed, and from_pretrained cannot "
            "load it.",
            hint="Save it as it is, compression={'optimizer': 'small'} for example, and promote that one.",
        )
    prefix = "" if name == "model" else f"{name}/"
    others = {
        path
        for other, item in entries.items()
        if other != name and not other.startswith(f"{name}.")  # further adapters are part of it
        for path in item.files
    }
    # What lies beside the model without belonging to a component is its tokenizer, say.
    return {
        file.path[len(prefix) :]: file.path
        for file in bundle.manifest.files
        if file.path.startswith(prefix)
        and not file.path.startswith("state/")
        and file.path not in others
        and file.path != "metadata.json"
    }


def _sources(
    repo: RepoManager, bundle: Bundle, folder: str, chosen: Mapping[str, str]
) -> tuple[Dict[str, Any], Dict[str, RemoteFile]]:
    """Say of each file where it comes from: large ones of the Hub are copied there."""
    files: Dict[str, Any] = {}
    copies: Dict[str, RemoteFile] = {}
    expected = {file.path: file.xxh3 for file in bundle.manifest.files}
    for path, inside in chosen.items():
        source = bundle.files[inside]
        if not _is_remote(source):
            if digest_file(source) != expected[inside]:  # type: ignore[arg-type]  # a path
                raise ConflictError(f"{inside!r} of {bundle.name!r} is not what was saved.")
            files[path] = source
        elif getattr(source, "sha256", None) is not None:
            copies[path] = source  # type: ignore[assignment]  # it is no path
        else:
            files[path] = bundle.read(inside, repo, folder)
    return files, copies


def _small(
    repo: RepoManager, bundle: Bundle, folder: str, chosen: Mapping[str, str]
) -> Dict[str, Any]:
    """Read the JSON files that a card is made of."""
    wanted = {
        name: chosen[name] for name in ("config.json", "adapter_config.json") if name in chosen
    }
    if "metadata.json" in bundle.files:
        wanted["metadata.json"] = "metadata.json"
    return {name: json.loads(bundle.read(path, repo, folder)) for name, path in wanted.items()}


def _superseded(repo: RepoManager, main: RepoTree, chosen: Mapping[str, str]) -> List[str]:
    """Name the files of an earlier model that the new one does not have."""
    said = repo.card(main.commit).metadata.get(FIELD)
    before = set(said.get("files") or ()) if isinstance(said, dict) else set()
    return [
        path
        for path in main.files
        if path not in chosen
        and (
            path in before
            or ("/" not in path and any(fnmatch.fnmatchcase(path, each) for each in _WEIGHTS))
        )
    ]


def _tagged(repo: RepoManager, tag: str | None) -> str | None:
    if tag is None:
        return None
    return next((ref.commit for ref in repo.list_tags() if ref.name == tag), None)


def _is_remote(source: object) -> bool:
    return hasattr(source, "git_sha1")


def bundle_here(path: Path, state: RemoteState) -> Bundle:
    """Take a checkpoint of this disk, from the Hub where that has it: then it need not be sent.

    Args:
        path: The checkpoint, which is intact.
        state: What the branch holds.
    """
    manifest, identity = read_manifest(path), manifest_identity(path)
    for published in state.published:
        if published.manifest == identity:
            return bundle_there(state, published.name, manifest)
    return Bundle(path.name, manifest, {file.path: path / file.path for file in manifest.files})


def bundle_there(state: RemoteState, name: str, manifest: Manifest) -> Bundle:
    """Take a checkpoint from the Hub."""
    there = state.files_of(name)
    missing = sorted(file.path for file in manifest.files if file.path not in there)
    if missing:
        raise ConflictError(f"{name!r} on the Hub lacks {', '.join(missing[:3])}.")
    return Bundle(name, manifest, there, state.tree.commit)
