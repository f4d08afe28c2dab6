"""Bringing a folder with a model into a repository: one commit, with the card and a tag."""

from __future__ import annotations

import dataclasses
import fnmatch
import json
from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple

from hfl_registry._card_sections import renewed

if TYPE_CHECKING:
    from hfl_registry._card import ModelCard
    from hfl_registry._report import ModelValidationReport
    from hfl_registry._stage import Staged
    from hfl_repo import RepoManager, RepoTree, TransferReport

__all__ = ["Published"]

_CARD = "README.md"
_ATTEMPTS = 20
# Says which files of a repository are the model's, so that the next one takes their place.
RECORD = "hfl_model.json"
# Weights that lie beside those of the new model would be taken for its own.
_WEIGHTS = (
    "*.safetensors",
    "*.safetensors.index.json",
    "pytorch_model*.bin",
    "pytorch_model*.bin.index.json",
)


@dataclasses.dataclass(frozen=True)
class Published:
    """What became of a publication.

    Attributes:
        repo_id: The repository.
        commit: The commit that holds the model.
        files: What it consists of.
        tag: The tag that marks it, if one was asked for.
        removed: Files of an earlier model that went.
        card_kept: Fields of the card that stay as people left them.
        bytes_sent: Content that went over the wire.
        validation: What was found before anything was sent; None if that was not asked for.
        is_dry_run: Whether this is only what would be done.
    """

    repo_id: str
    commit: str
    files: Tuple[str, ...]
    tag: str | None = None
    removed: Tuple[str, ...] = ()
    card_kept: Tuple[str, ...] = ()
    bytes_sent: int = 0
    validation: ModelValidationReport | None = None
    is_dry_run: bool = False


@dataclasses.dataclass(frozen=True)
class Sending:
    """How a folder goes into a repository."""

    revision: str | None
    create_branch: bool
    private: bool | None
    tag: str | None
    message: str | None
    allow: Sequence[str]
    dry_run: bool


def sent(repo: RepoManager, staged: Staged, described: ModelCard, sending: Sending) -> Published:
    """Bring a folder and a card into a branch, in one commit."""
    from hfl_repo import HeadMovedError

    branch = sending.revision or "main"
    if sending.create_branch and branch not in {ref.name for ref in repo.list_branches()}:
        repo.create_branch(branch)
    earlier = next((r.commit for r in repo.list_tags() if r.name == sending.tag), None)
    for attempt in range(_ATTEMPTS):
        tree = repo.tree(branch)
        card = repo.draft_card(
            described.metadata,
            body=lambda text: text or described.body,
            revision=branch,
            on_conflict="theirs",
        )
        removed = _superseded(repo, tree, staged.files)
        if earlier is not None:
            _check_tag(repo, staged, described, card, removed, tree, sending, earlier)
        try:
            report = _commit(repo, staged, described, card, removed, tree, sending)
            break
        except HeadMovedError:
            if attempt == _ATTEMPTS - 1:
                raise
    commit = report.commit or report.head or tree.commit
    if sending.tag is not None and not sending.dry_run:
        repo.create_tag(sending.tag, commit, message="A published model")
    return Published(
        repo.repo_id,
        commit,
        (*staged.files, RECORD, _CARD),
        sending.tag,
        tuple(removed),
        card.kept,
        report.bytes_sent,
        is_dry_run=sending.dry_run,
    )


def _commit(
    repo: RepoManager,
    staged: Staged,
    described: ModelCard,
    card: Any,
    removed: List[str],
    tree: RepoTree,
    sending: Sending,
) -> TransferReport:
    record = json.dumps({"format": 1, "files": list(staged.files)}, indent=2) + "\n"
    files: Dict[str, Any] = {path: staged.folder / path for path in staged.files}
    files.update({RECORD: record.encode("utf-8"), _CARD: renewed(card.content, described.body)})
    return repo.commit(
        files,
        message=f"{sending.message or 'Publish the model'}\n\n{card.trailer}",
        delete=removed,
        revision=sending.revision,
        on=tree,
        private=sending.private,
        allow=sending.allow,
        dry_run=sending.dry_run,
    )


def _check_tag(  # one call, private
    repo: RepoManager,
    staged: Staged,
    described: ModelCard,
    card: Any,
    removed: List[str],
    tree: RepoTree,
    sending: Sending,
    earlier: str,
) -> None:
    """Refuse before anything is sent where a tag marks something else."""
    from hfl_repo import RefExistsError

    trial = dataclasses.replace(sending, dry_run=True)
    changes = _commit(repo, staged, described, card, removed, tree, trial).files
    if earlier != tree.commit or any(change.kind != "unchanged" for change in changes):
        raise RefExistsError(repo.repo_id, str(sending.tag), kind="tag", target=earlier)


def _superseded(repo: RepoManager, tree: RepoTree, files: Sequence[str]) -> List[str]:
    """Name the files of an earlier model that the new one does not have."""
    before: List[str] = []
    if RECORD in tree.files:
        document = json.loads(repo.read(RECORD, tree.commit))
        before = [str(path) for path in document.get("files", ())]
    return sorted(
        path
        for path in tree.files
        if path not in files
        and (
            path in before
            or ("/" not in path and any(fnmatch.fnmatchcase(path, each) for each in _WEIGHTS))
        )
    )
