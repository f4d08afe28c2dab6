"""What the card says about a promoted checkpoint: for people in words, for programs in its metadata."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence

from hfl_checkpoint._remote._loading import loading_lines

if TYPE_CHECKING:
    from hfl_checkpoint._remote._promote import Bundle
    from hfl_repo import RepoManager

# The field of the card's metadata that is ours.
FIELD = "hfl_checkpoint"

_MOST_ROWS = 40


@dataclasses.dataclass(frozen=True)
class PromotedCard:
    """What is said.

    Attributes:
        metadata: The fields.
        body: The text of a new card; what people wrote is never replaced.
    """

    metadata: Mapping[str, Any]
    body: str


def card_of(
    repo: RepoManager, bundle: Bundle, files: Sequence[str], documents: Mapping[str, Any]
) -> PromotedCard:
    """Describe a promoted checkpoint.

    Args:
        repo: The repository.
        bundle: The checkpoint.
        files: The model's files at the root.
        documents: Its configuration, its adapter's configuration and its metadata, where there are.
    """
    manifest = bundle.manifest
    recorded = documents.get("metadata.json", {})
    adapter = documents.get("adapter_config.json", {})
    extra = recorded.get("extra") or {}
    base = extra.get("base_model") or adapter.get("base_model_name_or_path")
    revision = extra.get("base_model_revision") or adapter.get("revision")
    metrics = {key: value for key, value in manifest.metrics.items() if math.isfinite(value)}
    hyperparameters = recorded.get("hyperparameters") or {}
    said: Dict[str, Any] = {
        "name": bundle.name,
        "run_id": manifest.run_id,
        "step": manifest.step,
        "saved_at": manifest.created_at.isoformat(timespec="seconds"),
        "files": list(files),
    }
    optional = {
        "epoch": manifest.epoch,
        "metrics": metrics or None,
        "hyperparameters": hyperparameters or None,
        "base_model_revision": revision,
        "git_commit": (recorded.get("git") or {}).get("commit"),
    }
    said.update({key: value for key, value in optional.items() if value is not None})
    metadata: Dict[str, Any] = {FIELD: said}
    if base and _is_repo(str(base)):
        metadata["base_model"] = base
    library = _library(documents)
    if library is not None:
        metadata["library_name"] = library
    return PromotedCard(metadata, _body(repo.repo_id, bundle, metadata, documents, metrics))


def _library(documents: Mapping[str, Any]) -> str | None:
    if "adapter_config.json" in documents:
        return "peft"
    if "model_type" in documents.get("config.json", {}):
        return "transformers"
    return None


def _body(
    repo_id: str,
    bundle: Bundle,
    metadata: Mapping[str, Any],
    documents: Mapping[str, Any],
    metrics: Mapping[str, float],
) -> str:
    manifest = bundle.manifest
    hyperparameters = metadata[FIELD].get("hyperparameters") or {}
    epochs = "" if manifest.epoch is None else f", epoch {manifest.epoch}"
    lines = [
        f"# {repo_id.partition('/')[2]}",
        "",
        f"The model of the checkpoint `{bundle.name}`, saved at step {manifest.step}{epochs}.",
    ]
    if metadata.get("base_model"):
        revision = metadata[FIELD].get("base_model_revision")
        at = f" at revision `{revision}`" if revision else ""
        lines.append(f"It was trained from [{metadata['base_model']}]"
                     f"(https://huggingface.co/{metadata['base_model']}){at}.")  # fmt: skip
    if metadata.get("library_name") == "transformers":
        lines += [
            "",
            "```python",
            *loading_lines(repo_id, documents["config.json"]),
            "```",
        ]
    lines += _table("Metrics", {name: f"{value:.6g}" for name, value in metrics.items()})
    lines += _table("Hyperparameters", {name: str(v) for name, v in hyperparameters.items()})
    return "\n".join(lines) + "\n"


def _table(title: str, rows: Mapping[str, str]) -> List[str]:
    if not rows:
        return []
    found = ["", f"## {title}", "", "| name | value |", "| --- | --- |"]
    for name, value in list(rows.items())[:_MOST_ROWS]:
        cells = [str(cell).replace("|", "\\|").replace("\n", " ") for cell in (name, value)]
        found.append(f"| {cells[0]} | {cells[1]} |")
    return found


def _is_repo(name: str) -> bool:
    """Whether a name is one of the Hub, and no path."""
    return not name.startswith((".", "/", "~")) and name.count("/") <= 1 and "\\" not in name
