"""Find out which model the adapters belong on, and refuse what nobody else could find."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from hfl_core import digest_file, new_digest
from hfl_core.errors import NotFoundError, ValidationError
from hfl_registry._adapters._record import BasePin
from hfl_registry.errors import UnpinnedBaseError

if TYPE_CHECKING:
    from hfl_repo import RepoManager

__all__ = ["digest_of_model", "pin_base"]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_CACHED = re.compile(
    r"models--(?P<owner>[^/\\]+?)--(?P<name>[^/\\]+)[/\\]snapshots[/\\](?P<commit>[0-9a-f]{40})"
)
_REPO_ID = re.compile(r"[\w][\w.\-]*(/[\w][\w.\-]*)?", re.ASCII)
# What decides what a model computes; a card or a log beside it does not.
_MODEL_FILES = (".json", ".safetensors", ".bin", ".py", ".model", ".txt")


def pin_base(
    model: Any,
    *,
    repos: Callable[[str], RepoManager],
    base: str | os.PathLike[str] | None = None,
    base_revision: str | None = None,
    by_digest: bool = False,
) -> BasePin:
    """Pin the base of a model with adapters.

    Args:
        model: The ``PeftModel``.
        repos: Makes a manager for a repository.
        base: The repository, or a local folder; what the model says if None.
        base_revision: The branch, tag or commit that it was loaded from; what the model says if None.
        by_digest: Whether a local folder is fine, pinned by the digest of its content.

    Returns:
        The pin.

    Raises:
        UnpinnedBaseError: It is a folder of this machine, or its commit is not known.
        RepoNotFoundError: There is no such repository.
        RevisionNotFoundError: It has no such revision.
    """
    name, known = _what_it_says(model)
    if base is not None:
        given = _from_cache(os.fspath(base)) or (os.fspath(base), None)
        if given[0] != name:
            known = None  # what the model says is about another one
        name, known = given[0], given[1] or known
    if not name:
        raise UnpinnedBaseError(
            type(_base_of(model)).__name__, reason="the model does not say where it comes from"
        )
    if _is_local(name):
        return _pin_folder(name, by_digest=by_digest)
    if "/" not in name:
        raise UnpinnedBaseError(name, reason="its name does not say whose it is")
    return _pin_repo(repos(name), name, base_revision, known)


def digest_of_model(folder: Path) -> str:
    """Digest what decides what the model in a folder computes.

    Args:
        folder: A folder as ``save_pretrained`` writes it.

    Returns:
        ``"sha256:…"``; the same wherever the folder is.
    """
    whole = new_digest("sha256")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix in _MODEL_FILES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    for path in files:
        line = f"{path.relative_to(folder).as_posix()}\0{digest_file(path, 'sha256')}\n"
        whole.update(line.encode("utf-8", "surrogateescape"))
    return f"sha256:{whole.hexdigest()}"


def _base_of(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _what_it_says(model: Any) -> tuple[str | None, str | None]:
    """The name and the commit that the model and its adapters carry."""
    base = _base_of(model)
    config = getattr(base, "config", None)
    live = getattr(config, "_name_or_path", None) or getattr(base, "name_or_path", None)
    commit = getattr(config, "_commit_hash", None)
    configs = list(getattr(model, "peft_config", {}).values())
    names = {each.base_model_name_or_path for each in configs if each.base_model_name_or_path}
    name = live or (sorted(names)[0] if names else None)
    if not name:
        return None, None
    cached = _from_cache(str(name))
    if cached is not None:
        return cached
    for each in configs:
        if commit is None and each.revision and _COMMIT.fullmatch(each.revision):
            commit = each.revision
    return str(name), commit


def _from_cache(path: str) -> tuple[str, str] | None:
    """Where a folder in the Hub's cache came from: its path says it."""
    found = _CACHED.search(path)
    if found is None:
        return None
    return f"{found['owner']}/{found['name']}", found["commit"]


def _is_local(name: str) -> bool:
    return not _REPO_ID.fullmatch(name) or Path(name).expanduser().is_dir()


def _pin_folder(name: str, *, by_digest: bool) -> BasePin:
    folder = Path(name).expanduser()
    last = folder.name or "base"
    if not folder.is_dir():
        raise UnpinnedBaseError(last, reason="it is a folder that is not on this machine any more")
    if not by_digest:
        raise UnpinnedBaseError(last, reason="it is a folder on this machine")
    if not (folder / "config.json").is_file():
        raise UnpinnedBaseError(last, reason="its folder holds no config.json")
    return BasePin(last, digest=digest_of_model(folder), license=_license_in(folder))


def _pin_repo(repo: RepoManager, name: str, revision: str | None, loaded_at: str | None) -> BasePin:
    wanted = revision or loaded_at
    if wanted is None:
        raise UnpinnedBaseError(name, reason="the commit that it was loaded from is not known")
    info = repo.info(wanted)
    if info.sha is None:
        raise UnpinnedBaseError(name, reason=f"the Hub does not say at which commit {wanted!r} is")
    if loaded_at is not None and loaded_at != info.sha:
        raise UnpinnedBaseError(
            name,
            reason=f"it was loaded at commit {loaded_at[:12]}, and {wanted!r} is at {info.sha[:12]}",
        )
    return BasePin(info.repo_id, commit=info.sha, license=_license_on_hub(repo, info.sha))


def _license_on_hub(repo: RepoManager, commit: str) -> str | None:
    try:
        found = repo.card(commit).metadata.get("license")
    except (NotFoundError, ValidationError):
        return None  # a card that cannot be read says nothing
    return str(found) if isinstance(found, str) else None


def _license_in(folder: Path) -> str | None:
    card = folder / "README.md"
    if not card.is_file():
        return None
    import yaml

    parts = card.read_text(encoding="utf-8", errors="replace").split("---\n")
    try:
        found = yaml.safe_load(parts[1]) if len(parts) > 2 and not parts[0].strip() else None
    except yaml.YAMLError:
        return None
    license_ = found.get("license") if isinstance(found, dict) else None
    return license_ if isinstance(license_, str) else None
