"""Asking each policy once what it wants, for the decision and for its explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Iterator, List, Mapping, Sequence, Tuple

from hfl_checkpoint._checkpoint import Vote
from hfl_checkpoint._find import metrics_of
from hfl_checkpoint._retention import KeepAny, KeepBest, KeepBoth
from hfl_core import ConfigError

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint
    from hfl_checkpoint._find import metrics_of
from hfl_checkpoint._retention import KeepPolicy


def poll(
    policy: KeepPolicy, checkpoints: Sequence[Checkpoint]
) -> Tuple[Mapping[str, str], Dict[str, Tuple[Vote, ...]]]:
    """Ask a policy, and those that it is joined of, about the checkpoints of a run.

    Args:
        policy: The policy.
        checkpoints: The run's, oldest first.

    Returns:
        Name to the reason for keeping it, for those that are to be kept; and name to the vote of every
        policy, for all.

    Raises:
        ConfigError: A policy answered with something that is no choice.
    """
    votes: Dict[str, List[Vote]] = {checkpoint.name: [] for checkpoint in checkpoints}
    wanted = _ask(policy, checkpoints, votes)
    return wanted, {name: tuple(found) for name, found in votes.items()}


def absent_metrics(policy: KeepPolicy, checkpoints: Sequence[Checkpoint]) -> List[str]:
    """Name the metrics by which a policy ranks, and which none of the checkpoints has."""
    known = metrics_of(checkpoints)
    return [
        leaf.metric
        for leaf in _leaves(policy)
        if isinstance(leaf, KeepBest) and leaf.metric not in known
    ]


def _leaves(policy: KeepPolicy) -> Iterator[KeepPolicy]:
    if isinstance(policy, (KeepAny, KeepBoth)):
        for part in policy.policies:
            yield from _leaves(part)
    else:
        yield policy


def _ask(
    policy: KeepPolicy, checkpoints: Sequence[Checkpoint], votes: Dict[str, List[Vote]]
) -> Mapping[str, str]:
    if isinstance(policy, (KeepAny, KeepBoth)):
        return policy.join([_ask(part, checkpoints, votes) for part in policy.policies])
    chosen = policy.select(checkpoints)
    if not isinstance(chosen, Mapping):
        # An empty list, say, would be taken for the wish to delete everything.
        raise ConfigError(
            f"The retention policy {policy!r} chose {chosen!r}, which is no mapping of names to reasons.",
            hint="select() returns {checkpoint.name: 'why it is kept'}.",
        )
    against = getattr(policy, "against", None)
    for checkpoint in checkpoints:
        keeps = checkpoint.name in chosen
        if keeps:
            reason = str(chosen[checkpoint.name])
        else:
            reason = str(against(checkpoint)) if callable(against) else "not chosen"
        votes[checkpoint.name].append(Vote(repr(policy), keeps, reason))
    return chosen
