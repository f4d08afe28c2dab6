"""Validating and publishing: from a live model to one commit that strangers load."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from hfl_core.errors import ConfigError, HflError
from hfl_registry._adapters._inspect import has_adapters
from hfl_registry._adapters._publishing import AdapterPublishing
from hfl_registry._card import make_card
from hfl_registry._heads import head_of
from hfl_registry._loading import loading_lines
from hfl_registry._preflight import preflight, unwrapped
from hfl_registry._quantization import check_storable
from hfl_registry._registrations import TABLE, Registration
from hfl_registry._report import Check, ModelValidationReport
from hfl_registry._sending import Published, Sending, sent
from hfl_registry._stage import Staged, stage
from hfl_registry._validate import validate_staged
from hfl_registry.errors import ModelValidationError

__all__ = ["Publishing"]


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
    ) -> ModelValidationReport:
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
            sending = Sending(revision, create_branch, private, tag, message, allow, dry_run)
            done = sent(repo, staged, described, sending)
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


def _failed(model: Any, error: HflError) -> ModelValidationReport:
    problems = getattr(error, "problems", (error.message.rstrip("."),))
    name = "code" if hasattr(error, "missing") else "model"
    checks = tuple(Check(name, "failed", problem) for problem in problems)
    return ModelValidationReport(type(model).__name__, checks)
