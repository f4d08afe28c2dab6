"""Checks of arguments that say what is wrong before anything happens."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING, Any, Collection, List, Mapping, Sequence

from hfl_checkpoint._policies import SavePolicy
from hfl_checkpoint._remote._address import is_address, parse_address
from hfl_checkpoint._retention import KeepAll, KeepPolicy
from hfl_checkpoint._retention_text import keep_from
from hfl_checkpoint.errors import MissingComponentError
from hfl_core import ConfigError, get_logger, load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_checkpoint._manifest import Manifest

# https://git-scm.com/docs/git-check-ref-format
_NO_BRANCH = re.compile(r"[\s\x00-\x1f\x7f~^:?*\[\\]|\.\.|//|@\{|^[/.-]|[/.]$|\.lock$|^refs/")

_log = get_logger(__name__)


def check_policies(save: object, when_busy: str) -> None:
    """Refuse what is not a save policy, and what is none for a save under way."""
    if save is not None and (isinstance(save, type) or not isinstance(save, SavePolicy)):
        raise ConfigError(
            f"save={save!r} is not a save policy.", hint="Pass EverySteps(500), for example."
        )
    check_choice("when_busy", when_busy, ("wait", "skip", "coalesce"))


def retention(keep: object) -> KeepPolicy:
    """Return the retention policy that is meant: an object, its text, or None for the settings' one.

    Raises:
        ConfigError: It is none.
    """
    if keep is None:
        keep = _setting() or KeepAll()
    return _policy("keep", keep)


def _policy(name: str, keep: object) -> KeepPolicy:
    if isinstance(keep, str):
        return keep_from(keep)
    if isinstance(keep, type) or not isinstance(keep, KeepPolicy):
        raise ConfigError(
            f"{name}={keep!r} is not a retention policy.",
            hint="Pass KeepLast(3) | KeepBest('eval_loss'), for example, or 'last:3 | best:eval_loss'.",
        )
    return keep


def check_hub(
    hub: object, keep: object, revision: object, wait: object, private: object
) -> KeepPolicy | None:
    """Refuse arguments about the Hub that make no sense, and return the policy that is meant for it."""
    policy = None if keep is None else _policy("hub_keep", keep)
    if hub is None and keep is not None:
        raise ConfigError(
            "hub_keep says what a repository is to hold, and no repository was named.",
            hint="Pass hub='namespace/name' as well.",
        )
    if not isinstance(revision, str) or not revision or _NO_BRANCH.search(revision):
        raise ConfigError(
            f"revision={revision!r} is not the name of a branch.",
            hint="Use letters, digits, '-', '_', '.' and '/', as in 'experiments/lr-3e-4'.",
        )
    if private not in (True, False, None):
        raise ConfigError(
            f"There is no hub_private={private!r}.", hint="Use True, False, or None for either."
        )
    if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not wait >= 0:
        raise ConfigError(
            f"hub_wait={wait!r} is not a number of seconds.", hint="Pass 0 to wait for nothing."
        )
    return policy


def check_rest(metadata: object, notify: object) -> None:
    """Refuse arguments that would fail later, and cost the save then."""
    if metadata is not None and not isinstance(metadata, Mapping):
        raise ConfigError(f"metadata={metadata!r} is not a mapping.")
    if metadata and not all(isinstance(name, str) for name in metadata):
        raise ConfigError(f"metadata={metadata!r} is not a mapping of names to what is recorded.")
    is_messenger = callable(getattr(notify, "notify", None))
    if notify is not None and not callable(notify) and not is_messenger:
        raise ConfigError(
            f"notify={notify!r} cannot be called.",
            hint="Pass a Notifier, or a function of one text: notify=print.",
        )


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse a value that is not one of a few."""
    if value not in choices:
        known = ", ".join(map(repr, choices[:-1]))
        raise ConfigError(f"There is no {name}={value!r}.", hint=f"Use {known} or {choices[-1]!r}.")


def _setting() -> str | None:
    """The setting ``keep``: the environment, the project's file, the user's, in this order."""
    try:
        return load_settings().keep
    except ConfigError as error:
        # Whoever only reads a run need not be able to read the settings; a home folder may be gone.
        _log.warning("all checkpoints are kept: %s", error)
        return None


def require_directory_name(path: Path, given: object) -> None:
    """Refuse what can be no directory of this machine, as a run's.

    Args:
        path: The path.
        given: What it was made of.
    """
    if is_address(given):
        raise ConfigError(
            f"{given!r} is on the Hub, and a run needs a directory here.",
            hint=f"Name a directory, and pass hub={parse_address(str(given)).repo_id!r} beside it.",
        )
    try:
        path.lstat()
        is_dangling = path.is_symlink() and not path.exists()
    except (ValueError, OSError) as error:  # a NUL or a lone surrogate is a ValueError
        if isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG:
            return  # it is not there yet, or may not be looked at: that is no matter of its name
        raise ConfigError(f"{str(given)[:200]!r} cannot be the name of a directory.") from error
    if is_dangling:
        raise ConfigError(
            f"'{path}' is a link to {os.readlink(path)!r}, which does not exist.",
            hint="Mount or make what it leads to, or remove the link.",
        )


def require_step(step: object) -> None:
    """Refuse what is not a step."""
    if _is_count(step):
        return
    if callable(getattr(step, "components", None)):
        raise ConfigError(
            f"An object of type {type(step).__name__} is a training state, not a step.",
            hint="Use step(state), which saves when a policy says so, or "
            "save(state.step, **state.components()).",
        )
    raise ConfigError(
        f"{_shown(step)} is not a step.",
        hint="Pass the number of optimizer steps taken, 0 or more, and objects by name: "
        "save(500, model=model).",
    )


def require_facts(epoch: object, metrics: object, reason: object) -> None:
    """Refuse what says nothing about a save: it would fail when the manifest is written, or read."""
    if epoch is not None and not _is_count(epoch):
        raise ConfigError(
            f"{_shown(epoch)} is not an epoch.",
            hint="Pass the number of completed epochs, 0 or more, as an int.",
        )
    if not isinstance(metrics, Mapping):
        raise ConfigError(
            f"The metrics are a mapping of name to number, and got an object of type "
            f"{type(metrics).__name__}.",
            hint="Pass metrics={'eval_loss': 0.5}.",
        )
    if not isinstance(reason, str):
        raise ConfigError(f"The reason of a save is text, and {reason!r} is none.")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _shown(value: object) -> str:
    """What is no number may be a whole model, which nobody wants to read in a message."""
    is_short = isinstance(value, (int, float, str))
    return repr(value) if is_short else f"An object of type {type(value).__name__}"


def require_state(state: object, call: str) -> None:
    """Refuse what is not a training state, a model for instance."""
    if callable(getattr(state, "components", None)) and hasattr(state, "step"):
        return
    raise ConfigError(
        f"{call}() takes a training state, and got an object of type {type(state).__name__}.",
        hint=(
            f"Pass objects by name: {call}(model=model, optimizer=optimizer)."
            if call == "resume"
            else "Pass hfl_state.TrainingState, or call save(500, model=model) yourself."
        ),
    )


def missing_components(
    checkpoint: str, manifest: Manifest, wanted: Collection[str], allowed: Collection[str]
) -> List[str]:
    """Name the wanted components that a checkpoint lacks, all of which have to be allowed to be missing.

    Raises:
        MissingComponentError: One is not.
    """
    permitted = _names(allowed)
    missing = [name for name in wanted if name not in manifest.names]
    refused = [name for name in missing if name not in permitted]
    if refused:
        raise MissingComponentError(checkpoint, missing=refused, available=manifest.names)
    return missing


def _names(components: Collection[str]) -> Collection[str]:
    """Names of components; a text is one of them, and not its letters."""
    return [components] if isinstance(components, str) else list(components)


def asked_for(checkpoint: str, manifest: Manifest, only: Collection[str] | None) -> List[str]:
    """Name the components that are to be read: all if `only` is None.

    Raises:
        MissingComponentError: The checkpoint lacks one.
    """
    names = list(manifest.names if only is None else _names(only))
    missing = [name for name in names if name not in manifest.names]
    if missing:
        raise MissingComponentError(
            checkpoint,
            missing=missing,
            available=manifest.names,
            hint="Name components that it has, or none for all of them.",
        )
    return names


def require_joint(components: Mapping[str, Any], *, when_busy: str) -> None:
    """Refuse what several processes cannot save together.

    Raises:
        ConfigError: A model is sharded, or a save that waits could be given up on one process alone.
    """
    if when_busy == "coalesce":
        raise ConfigError(
            "when_busy='coalesce' is for one process: of several, one may have begun the save that "
            "another one still gives up for a newer one.",
            hint="Pass when_busy='skip', on which all processes agree, or 'wait'.",
        )
    sharded = [name for name, item in components.items() if _is_sharded(item)]
    if sharded:
        raise ConfigError(
            f"{', '.join(map(repr, sharded))} is sharded over the processes, and a checkpoint that each "
            "of them writes a part of is not supported yet.",
            hint="Train with DistributedDataParallel, or save with torch.distributed.checkpoint.",
        )


def _is_sharded(component: Any) -> bool:
    tensors: Any = ()
    if callable(getattr(component, "parameters", None)):
        tensors = component.parameters()
    elif isinstance(getattr(component, "param_groups", None), list):
        tensors = (item for group in component.param_groups for item in group["params"])
    is_wrapped = callable(getattr(component, "modules", None)) and any(
        type(item).__name__ == "FullyShardedDataParallel" for item in component.modules()
    )
    return is_wrapped or any(hasattr(tensor, "placements") for tensor in tensors)
