"""Validating and publishing: from a live model to one commit that strangers load."""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Tuple

from hfl_core import get_logger
from hfl_core.errors import ConfigError, HflError
from hfl_registry._adapters._inspect import has_adapters
from hfl_registry._adapters._publishing import AdapterPublishing
from hfl_registry._card import ModelCard, make_card
from hfl_registry._card_sections import renewed
from hfl_registry._heads import head_of
from hfl_registry._loading import loading_lines
from hfl_registry._preflight import preflight, unwrapped
from hfl_registry._quantization import check_storable
from hfl_registry._registrations import TABLE, Registration
from hfl_registry._report import Check, ValidationReport
from hfl_registry._stage import Staged, stage
from hfl_registry._validate import validate_staged
from hfl_registry.errors import ModelValidationError

if TYPE_CHECKING:
    from hfl_repo import RepoManager, RepoTree, TransferReport

__all__ = ["Published"]

_LOG = get_logger(__name__)
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
    validation: ValidationReport | None = None
    is_dry_run: bool = False


@dataclasses.dataclass(frozen=True)
class _Sending:
    """How a folder goes into a repository."""

    revision: str | None
    create_branch: bool
    private: bool | None
    tag: str | None
    message: str | None
    allow: Sequence[str]
    dry_run: bool


class Publishing(AdapterPublishing):
    """What `ModelRegistry` sends."""

    def validate(
        self,
        model: Any,
        *,
        tokenizer: Any = None,
        processor: Any = None,
        image_processor: Any = None,
        inputs: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        tolerance: float = 1e-5,
        timeout: float = 600.0,
    ) -> ValidationReport:
        """Try what a stranger would get, without sending anything.

        The model is written as `publish` would, and loaded in a fresh process that is offline and in
        which one's own modules are absent. What is looked at there: that the configuration survives, that
        its own code is asked for and complete, that every tensor arrives, tied ones tied, and that the
        outputs on a fixed input are those of the live model. Before that, here: tensors without values,
        settings that JSON cannot hold, the tokenizer against the embedding, the generation config.

        Args:
            model: The live model.
            tokenizer: Its tokenizer, if it is published along.
            processor: Its processor.
            image_processor: Its image processor.
            inputs: Tensors by the name of the argument, to compare outputs on; None to make some from
                the configuration.
            config: For a plain module, constructor arguments that it does not keep itself.
            tolerance: The largest difference of an output that passes.
            timeout: Seconds for the fresh process.

        Returns:
            What was found; see its `ok` and `problems`.
        """
        model = unwrapped(model)
        companions = _companions(tokenizer, processor, image_processor)
        with tempfile.TemporaryDirectory(prefix="hfl-model-") as name:
            try:
                staged = _staged(Path(name), model, companions, config, "5GB")
            except HflError as error:
                return _failed(model, error)
            return validate_staged(
                staged, model, companions, inputs=inputs, tolerance=tolerance, timeout=timeout
            )

    def publish(  # noqa: PLR0913  # each has a default that most keep
        self,
        model: Any,
        repo_id: str,
        *,
        tokenizer: Any = None,
        processor: Any = None,
        image_processor: Any = None,
        revision: str | None = None,
        create_branch: bool = False,
        private: bool | None = None,
        tag: str | None = None,
        message: str | None = None,
        license: str | None = None,  # noqa: A002  # the card's own name for it
        metadata: Any = None,
        metrics: Mapping[str, float] | None = None,
        card: Mapping[str, Any] | None = None,
        card_template: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        validate: bool = True,
        tolerance: float = 1e-5,
        allow: Sequence[str] = (),
        max_shard_size: str | int = "5GB",
        dry_run: bool = False,
    ) -> Published:
        """Publish a model with its code, so that one call loads it anywhere.

        Adapters go with the pin of their base; see `publish_adapters`, which has more to choose from.

        It is validated first, see `validate`. Weights, configuration, code and card become visible in one
        commit; what an earlier publication had and this one has not goes in the same commit, and files that
        people added stay. What people wrote into the card stays, too.

        Args:
            model: The live model.
            repo_id: Where to; it is created if it is not there.
            tokenizer: Its tokenizer.
            processor: Its processor.
            image_processor: Its image processor.
            revision: The branch; ``"main"`` if None.
            create_branch: Create the branch if it is not there.
            private: What the repository has to be; None if either will do.
            tag: A name for the result.
            message: The commit's message.
            license: The licence's identifier on the Hub.
            metadata: The run's `hfl_metadata.RunMetadata`, for the card.
            metrics: Name to value, for the card.
            card: Further fields of the card's metadata; they win.
            card_template: A Jinja template for the card's text.
            inputs: As for `validate`.
            config: As for `validate`.
            validate: Whether to try it in a fresh process before.
            tolerance: As for `validate`.
            allow: What the gate is to let through, as for `RepoManager.upload`.
            max_shard_size: The size of a file of weights.
            dry_run: Do everything up to the gate, and send nothing; the repository has to be there.

        Returns:
            What became of it.

        Raises:
            ModelValidationError: It is not fit to be published; every problem is named.
            UnportableCodeError: Its code cannot travel; with file and line.
            RoundTripError: Loaded again, it computes something else.
            UnsafeUploadError: The gate found a secret or a path of this machine.
            VisibilityMismatchError: The repository is public where private was asked for, or the reverse.
            RefExistsError: The tag marks something else.
        """
        model = unwrapped(model)
        if has_adapters(model):
            if processor is not None or image_processor is not None or config is not None:
                raise ConfigError(
                    "Adapters are published with a tokenizer, or with the base's own parts."
                )
            return self.publish_adapters(
                model,
                repo_id,
                tokenizer=tokenizer,
                revision=revision,
                create_branch=create_branch,
                private=private,
                tag=tag,
                message=message,
                license=license,
                metadata=metadata,
                metrics=metrics,
                card=card,
                card_template=card_template,
                inputs=inputs,
                validate=validate,
                tolerance=tolerance,
                allow=allow,
                dry_run=dry_run,
            )
        check_storable(model)
        companions = _companions(tokenizer, processor, image_processor)
        with tempfile.TemporaryDirectory(prefix="hfl-model-") as name:
            staged = _staged(Path(name), model, companions, config, max_shard_size)
            report = None
            if validate:
                report = validate_staged(
                    staged, model, companions, inputs=inputs, tolerance=tolerance
                )
                report.raise_if_failed()
            repo = self._repo(repo_id)
            if not dry_run:
                repo.create(private=private)
            described = make_card(
                repo.repo_id,
                config=staged.config,
                loading=loading_lines(
                    repo.repo_id,
                    staged.auto_class,
                    has_code=staged.has_code,
                    companions=tuple(companions),
                ),
                model=model,
                requirements=staged.code.requirements,
                license=license,
                metadata=metadata,
                metrics=metrics,
                fields=card,
                template=card_template,
                executed=report is not None,
            )
            sending = _Sending(revision, create_branch, private, tag, message, allow, dry_run)
            done = _sent(repo, staged, described, sending)
        return dataclasses.replace(done, validation=report)


def _companions(tokenizer: Any, processor: Any, image_processor: Any) -> Dict[str, Any]:
    given = {"tokenizer": tokenizer, "processor": processor, "image_processor": image_processor}
    return {name: each for name, each in given.items() if each is not None}


def _staged(
    folder: Path,
    model: Any,
    companions: Mapping[str, Any],
    config: Mapping[str, Any] | None,
    max_shard_size: str | int,
) -> Staged:
    problems = preflight(model, companions)
    if problems:
        raise ModelValidationError(type(model).__name__, problems)
    registration = TABLE.of(type(model))
    return stage(
        folder,
        model,
        _auto_class(model, registration),
        registration,
        companions,
        config=config,
        max_shard_size=max_shard_size,
    )


def _auto_class(model: Any, registration: Registration | None) -> str:
    if registration is not None:
        for name, cls in registration.models.items():
            if cls.__name__ == type(model).__name__:
                return name
    return head_of(type(model))


def _failed(model: Any, error: HflError) -> ValidationReport:
    problems = getattr(error, "problems", (error.message.rstrip("."),))
    name = "code" if hasattr(error, "missing") else "model"
    checks = tuple(Check(name, "failed", problem) for problem in problems)
    return ValidationReport(type(model).__name__, checks)


def _sent(repo: RepoManager, staged: Staged, described: ModelCard, sending: _Sending) -> Published:
    """Bring a folder and a card into a branch, in one commit."""
    from hfl_repo import HeadMovedError

    branch = sending.revision or "main"
    if sending.create_branch and branch not in {ref.name for ref in repo.list_branches()}:
        repo.create_branch(branch)
    earlier = next((r.commit for r in repo.list_tags() if r.name == sending.tag), None)
    for attempt in range(_ATTEMPTS):
        tree = repo.tree(branch)
        card = repo.draft_card(
            described.metadata, body=described.body, revision=branch, on_conflict="theirs"
        )
        card = dataclasses.replace(card, content=renewed(card.content, described.body))
        removed = _superseded(repo, tree, staged.files)
        if earlier is not None:
            _check_tag(repo, staged, card, removed, tree, sending, earlier)
        try:
            report = _commit(repo, staged, card, removed, tree, sending)
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
    card: Any,
    removed: List[str],
    tree: RepoTree,
    sending: _Sending,
) -> TransferReport:
    record = json.dumps({"format": 1, "files": list(staged.files)}, indent=2) + "\n"
    files: Dict[str, Any] = {path: staged.folder / path for path in staged.files}
    files.update({RECORD: record.encode("utf-8"), _CARD: card.content})
    return repo.commit(
        files,
        message=f"{sending.message or 'Publish the model'}\n\n{card.note}",
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
    card: Any,
    removed: List[str],
    tree: RepoTree,
    sending: _Sending,
    earlier: str,
) -> None:
    """Refuse before anything is sent where a tag marks something else."""
    from hfl_repo import RefExistsError

    trial = dataclasses.replace(sending, dry_run=True)
    changes = _commit(repo, staged, card, removed, tree, trial).files
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
