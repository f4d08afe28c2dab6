"""What is published, what is skipped, and what is retired: decided over both sides at once."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Collection, Dict, List, Mapping, Sequence, Tuple

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint
    from hfl_checkpoint._retention import KeepPolicy


@dataclasses.dataclass(frozen=True)
class Policies:
    """What is wanted where.

    Attributes:
        hub: What the Hub is to hold; None for whatever was published.
        local: What the run's directory is to hold.
    """

    hub: KeepPolicy | None
    local: KeepPolicy


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What becomes of the checkpoints of a run.

    Attributes:
        publish: Names of those that go to the Hub, oldest first.
        skip: Names of those that do not, with the reason.
        retire: Names of those on the Hub that go from it.
    """

    publish: Tuple[str, ...]
    skip: Mapping[str, str]
    retire: Tuple[str, ...]


def decide(
    policies: Policies,
    *,
    local: Sequence[Checkpoint],
    waiting: Collection[str],
    published: Sequence[Checkpoint],
    refused: Collection[str] = (),
    forced: Collection[str] = (),
) -> Verdict:
    """Decide about one run.

    The newest checkpoint, pinned ones and those that somebody asked for by name are always published
    and never retired. Of the others, a policy for the Hub decides over what it holds and what waits,
    as if all of it were there. Without one, everything is published as long as it is there: what
    waits while the run's own policy gives it up is skipped.

    Args:
        policies: What is wanted.
        local: The run's checkpoints on this disk, oldest first.
        waiting: Names of those that wait to be published.
        published: Those on the Hub, oldest first.
        refused: Names of those that must not leave the machine as they are. They do not count for
            the Hub, and are given up when the run's own policy gives them up: else a secret in a
            configuration would fill the disk.
        forced: Names of those that somebody asked for.

    Returns:
        The verdict.
    """
    pending = [item for item in local if item.name in waiting]
    sequences = {item.sequence for item in pending}
    both = sorted(
        [*pending, *(item for item in published if item.sequence not in sequences)],
        key=lambda item: item.sequence,
    )
    safe = {item.name for item in both if item.pinned} | set(forced)
    safe.update(item.name for item in both[-1:])
    safe.update(item.name for item in pending[-1:])
    kept_here = set(policies.local.select(local)) if policies.hub is None or refused else set()
    if policies.hub is None:
        wanted = kept_here
        reason = "superseded before it could be published"
    else:
        wanted = set(policies.hub.select(both))
        reason = "the policy for the Hub does not keep it"
    skip: Dict[str, str] = {}
    publish: List[str] = []
    for item in pending:
        if item.name in wanted or item.name in safe:
            publish.append(item.name)
        else:
            skip[item.name] = reason
    newest_here = {item.name for item in local[-1:]}
    for name in refused:
        if name not in kept_here and name not in safe | newest_here:
            skip[name] = reason
    retire = [
        item.name
        for item in published
        if policies.hub is not None
        and item.name not in wanted
        and item.name not in safe
        and item.sequence not in sequences
    ]
    return Verdict(tuple(publish), skip, tuple(retire))
