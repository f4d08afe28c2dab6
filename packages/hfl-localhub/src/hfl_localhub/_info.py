"""What a repository says about itself."""

from __future__ import annotations

import functools
import json
from typing import Any

from hfl_localhub._cards import card_data, tags_of
from hfl_localhub._entries import blob_facts, file_facts, isoformat
from hfl_localhub._git import GitSession
from hfl_localhub._repos import Repo
from hfl_localhub._weighted_cache import WeightedCache

__all__ = ["Summary", "describe_repo", "siblings", "summary"]

_LARGEST_CARD = 2 * 1024**2


class Summary:
    """What a commit says about a repository: its card and its configuration, read on demand.

    Attributes:
        commit: The commit's id.
        time: When it was made, in seconds since the epoch.
        card: The card's metadata.
        config: The parts of ``config.json`` that the Hub shows.
    """

    def __init__(self, git: GitSession, commit: str) -> None:
        found = git.commit(commit)
        self.commit = commit
        self.time = found.time
        self.card = card_data(_text(git, found.tree, "README.md"))
        self.config = _config(_text(git, found.tree, "config.json"))
        self.has_safetensors = any(
            entry.name.endswith(".safetensors") for entry in git.tree(found.tree)
        )

    @functools.cached_property
    def tags(self) -> list[str]:
        """The tags that the card and the configuration give."""
        tags = tags_of(self.card)
        if self.config.get("model_type") and self.config["model_type"] not in tags:
            tags.append(self.config["model_type"])
        if self.has_safetensors and "safetensors" not in tags:
            tags.append("safetensors")
        return tags


_SUMMARIES: WeightedCache[Summary] = WeightedCache(capacity=2_000)


def summary(git: GitSession, commit: str) -> Summary:
    """Return what a commit says about its repository."""
    known = _SUMMARIES.get(commit)
    if known is None:
        known = Summary(git, commit)
        _SUMMARIES.put(commit, known, 1)
    return known


def _text(git: GitSession, tree: str, path: str) -> str:
    entry = git.find(tree, path)
    if entry is None or entry.is_folder or blob_facts(git, entry.sha).size > _LARGEST_CARD:
        return ""
    return git.blob(entry.sha).decode("utf-8", "replace")


def _config(text: str) -> dict[str, Any]:
    try:
        config = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(config, dict):
        return {}
    shown = ("architectures", "model_type", "auto_map", "quantization_config")
    found = {name: config[name] for name in shown if name in config}
    if not isinstance(found.get("model_type", ""), str):
        del found["model_type"]
    return found


def siblings(repo: Repo, git: GitSession, commit: str, *, with_blobs: bool) -> list[dict[str, Any]]:
    """Return the files of a commit."""
    shown = []
    for entry in git.files(git.commit(commit).tree):
        item: dict[str, Any] = {"rfilename": entry.name}
        if with_blobs:
            facts = file_facts(git, entry.sha, repo.lfs)
            item.update(size=facts.size, blobId=entry.sha)
            if facts.pointer is not None:
                item["lfs"] = {
                    "sha256": facts.pointer.sha256,
                    "size": facts.pointer.size,
                    "pointerSize": facts.stored,
                }
        shown.append(item)
    return shown


def describe_repo(repo: Repo, found: Summary) -> dict[str, Any]:
    """Return what all answers about a repository have in common."""
    settings = repo.settings
    shown: dict[str, Any] = {
        "_id": f"{repo.type}:{repo.id}",
        "id": repo.id,
        "author": repo.namespace,
        "sha": found.commit,
        "lastModified": isoformat(found.time),
        "createdAt": isoformat(settings.created_at),
        "private": settings.is_private,
        "visibility": settings.visibility,
        "gated": settings.gated,
        "disabled": False,
        "tags": found.tags,
        "downloads": repo.downloads,
        "downloadsAllTime": repo.downloads,
        "likes": len(settings.likes),
        "trendingScore": 0,
        "cardData": found.card,
    }
    if repo.type == "model":
        shown["modelId"] = repo.id
        shown["config"] = found.config
        for name in ("pipeline_tag", "library_name"):
            if isinstance(found.card.get(name), str):
                shown[name] = found.card[name]
    if repo.type == "space":
        shown["sdk"] = settings.sdk
    return shown
