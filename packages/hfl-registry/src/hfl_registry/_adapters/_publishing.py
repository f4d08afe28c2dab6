"""Publishing a model's adapters: the base pinned, tried out, and sent in one commit."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence

from hfl_core.errors import ConfigError
from hfl_registry._adapters._inspect import require_adapters
from hfl_registry._adapters._load import base_folder, load_adapters
from hfl_registry._adapters._merge import outputs_of
from hfl_registry._adapters._pin import pin_base
from hfl_registry._adapters._record import AdapterRecord, BasePin
from hfl_registry._adapters._usage import adapter_loading_lines, adapter_tags, license_of_base
from hfl_registry._adapters._write import write_adapters
from hfl_registry._base import RegistryBase
from hfl_registry._card import make_card
from hfl_registry._inputs import sample_inputs
from hfl_registry._report import Check, ModelValidationReport
from hfl_registry.errors import UnpinnedBaseError

if TYPE_CHECKING:
    import os

    from hfl_registry._sending import Published

__all__ = ["AdapterPublishing"]

# What a folder with a base holds for others; not its optimizer, nor its card.
_BASE_FILES = ("config.json", "generation_config.json", "*.safetensors", "*.index.json")
_TOKENIZER_FILES = ("tokenizer*", "special_tokens_map.json", "vocab*", "merges.txt", "*.py")


@dataclasses.dataclass(frozen=True)
class _Base:
    """The base as it is pinned, and where to load it from here."""

    pin: BasePin
    folder: Path | None
    vocabulary: int | None


class AdapterPublishing(RegistryBase):
    """What `ModelRegistry` does with adapters."""

    def publish_adapters(  # noqa: PLR0913  # each has a default that most keep
        self,
        model: Any,
        repo_id: str,
        *,
        base: str | os.PathLike[str] | None = None,
        base_revision: str | None = None,
        base_by_digest: bool = False,
        publish_base: str | None = None,
        adapters: Sequence[str] | None = None,
        tokenizer: Any = None,
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
        validate: bool = True,
        tolerance: float = 1e-5,
        allow: Sequence[str] = (),
        dry_run: bool = False,
    ) -> Published:
        """Publish adapters, so that one call loads them on the model that they were trained on.

        The base is pinned: a repository to a commit, a local folder (if that is asked for) to its
        content. Then everything is loaded as others would and compared with the live model, and only
        then sent, in one commit.

        Args:
            model: The ``PeftModel``.
            repo_id: Where to; it is created if it is not there.
            base: The base's repository or folder; what the model says if None.
            base_revision: The revision of it that was loaded; what the model says if None.
            base_by_digest: Whether a base in a local folder is fine, pinned by its content. Whoever
                loads it needs that folder, too.
            publish_base: A repository to which a base in a local folder goes first.
            adapters: Which adapters; all if None.
            tokenizer: The tokenizer, published along.
            revision: The branch; ``"main"`` if None.
            create_branch: Create the branch if it is not there.
            private: What the repository has to be; None if either will do.
            tag: A name for the result.
            message: The commit's message.
            license: The licence's identifier on the Hub; the base's if None.
            metadata: The run's `hfl_metadata.RunMetadata`, for the card.
            metrics: Name to value, for the card.
            card: Further fields of the card's metadata; they win.
            card_template: A Jinja template for the card's text.
            inputs: Tensors by the name of the argument, to compare outputs on; None to make some
                from the configuration.
            validate: Whether to load it from what is published, and compare.
            tolerance: The largest difference of an output that passes.
            allow: What the gate is to let through, as for `RepoManager.upload`.
            dry_run: Do everything up to the gate, and send nothing; the repository has to be there.

        Returns:
            What became of it.

        Raises:
            UnpinnedBaseError: Nobody else could find the base.
            RepoNotFoundError: There is no such base.
            RevisionNotFoundError: The base has no such revision.
            ModelValidationError: The adapters are not fit to be published.
            AdapterMismatchError: They do not fit the base that is pinned.
            RoundTripError: Loaded again, the model computes something else.
        """
        from hfl_registry._sending import Sending, sent

        live = require_adapters(model)
        found = self._find_base(
            live,
            base,
            base_revision,
            by_digest=base_by_digest,
            publish=publish_base,
            private=private,
        )
        with tempfile.TemporaryDirectory(prefix="hfl-adapters-") as name:
            folder = Path(name)
            record = write_adapters(
                live,
                folder,
                pin=found.pin,
                base_vocabulary=found.vocabulary,
                tokenizer=tokenizer,
                adapters=adapters,
            )
            if tokenizer is not None:
                _save_tokenizer(tokenizer, folder)
            report = None
            if validate:
                report = self._tried(live, folder, found, inputs=inputs, tolerance=tolerance)
                report.raise_if_failed()
            repo = self._repo(repo_id)
            if not dry_run:
                repo.create(private=private)
            described = make_card(
                repo.repo_id,
                config=_config_of(live),
                loading=adapter_loading_lines(
                    repo.repo_id, record, has_tokenizer=tokenizer is not None
                ),
                model=live,
                license=license or license_of_base(record),
                metadata=metadata,
                metrics=metrics,
                fields={**adapter_tags(record), **(card or {})},
                template=card_template,
            )
            sending = Sending(revision, create_branch, private, tag, message, allow, dry_run)
            done = sent(repo, _folder_as_staged(folder), described, sending)
        return dataclasses.replace(done, validation=report)

    def _find_base(
        self,
        live: Any,
        base: str | os.PathLike[str] | None,
        revision: str | None,
        *,
        by_digest: bool,
        publish: str | None,
        private: bool | None,
    ) -> _Base:
        if publish is not None:
            if by_digest:
                raise ConfigError("A base is pinned by its content, or published along: not both.")
            base, revision = publish, self._publish_base(live, base, publish, private=private)
        pin = pin_base(
            live, repos=self._repo, base=base, base_revision=revision, by_digest=by_digest
        )
        if pin.is_on_hub:
            raw = self._repo(pin.name).read("config.json", pin.commit)
            return _Base(pin, None, _vocabulary(json.loads(raw)))
        folder = Path(base if base is not None else live.get_base_model().config._name_or_path)
        text = (folder / "config.json").read_text(encoding="utf-8")
        return _Base(pin, folder, _vocabulary(json.loads(text)))

    def _publish_base(
        self,
        live: Any,
        base: str | os.PathLike[str] | None,
        repo_id: str,
        *,
        private: bool | None,
    ) -> str:
        """Send the folder that the base was loaded from, and return the commit."""
        folder = Path(base if base is not None else live.get_base_model().config._name_or_path)
        if not (folder / "config.json").is_file():
            raise UnpinnedBaseError(
                folder.name, reason="the folder that it was loaded from is not there any more"
            )
        repo = self._repo(repo_id)
        repo.create(private=private)
        report = repo.upload(
            folder,
            include=[*_BASE_FILES, *_TOKENIZER_FILES],
            message="Publish the base model of adapters",
            private=private,
        )
        return report.commit or str(repo.info().sha)

    def _tried(
        self,
        live: Any,
        folder: Path,
        found: _Base,
        *,
        inputs: Mapping[str, Any] | None,
        tolerance: float,
    ) -> ModelValidationReport:
        """Load what is going to be published, and compare it with the live model."""
        name = type(live.get_base_model()).__name__
        record = AdapterRecord.read(folder)
        place = found.folder
        if record is not None and place is None:
            place = base_folder(record, self._repo)
        names = list(record.adapters) if record is not None else None
        loaded = load_adapters(
            folder,
            repos=self._repo,
            base=None if place is None else str(place),
            adapters=names,
            trust_remote_code=True,  # the same code that runs here already, as the live model's class
        )
        checks: List[Check] = [Check("adapters", "passed", f"{len(loaded.peft_config)} equal")]
        given = inputs or sample_inputs(live.get_base_model())
        if given is None:
            checks.append(Check("outputs", "skipped", "what its forward takes is not known"))
            return ModelValidationReport(name, tuple(checks), tolerance=tolerance)
        expected, got = outputs_of(live, given), outputs_of(loaded, given)
        same = expected.shape == got.shape
        difference = float((expected - got).abs().max()) if same else float("inf")
        status: Any = "passed" if difference <= tolerance else "failed"
        checks.append(Check("outputs", status, f"they differ by up to {difference:g}"))
        return ModelValidationReport(
            name, tuple(checks), difference=difference, tolerance=tolerance
        )


def _folder_as_staged(folder: Path) -> Any:
    from hfl_registry._code._bundle import CodeBundle
    from hfl_registry._stage import Staged

    return Staged(folder, "", {}, CodeBundle({}, {}))


def _config_of(live: Any) -> Dict[str, Any]:
    config: Any = getattr(live.get_base_model(), "config", None)
    return dict(config.to_dict()) if hasattr(config, "to_dict") else {}


def _vocabulary(config: Mapping[str, Any]) -> int | None:
    inner = config.get("text_config")
    for each in (config, inner if isinstance(inner, dict) else {}):
        if isinstance(each.get("vocab_size"), int):
            return int(each["vocab_size"])
    return None


def _save_tokenizer(tokenizer: Any, folder: Path) -> None:
    tokenizer.save_pretrained(str(folder))
    path = folder / "tokenizer_config.json"
    if path.is_file():  # it remembers the folder that it was loaded from
        said = json.loads(path.read_text(encoding="utf-8"))
        if said.pop("name_or_path", None) is not None:
            path.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
