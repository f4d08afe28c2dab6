"""The proof that a training resumes exactly: once undisturbed, once killed again and again, and compared.

Digests decide, not values: two checkpoints hold the same when every file of every component does. It needs
no torch, unless something differs and the difference has to be named.
"""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Callable, Collection, Dict, List, Sequence, Tuple

from hfl_checkpoint._catalog import Catalog
from hfl_checkpoint._checkpoint import Checkpoint
from hfl_checkpoint._manifest import Manifest, read_manifest
from hfl_checkpoint._prove_training import PLACEHOLDER, VARIABLE, Training
from hfl_checkpoint._verify import require_intact
from hfl_core import ConfigError, NotFoundError

# How long a run took, which no two runs have in common.
VOLATILE = ("clock", "durations")


@dataclasses.dataclass(frozen=True)
class Part:
    """A component in the last checkpoints of both runs.

    Attributes:
        name: Its name.
        bytes: Of its files, in the undisturbed run.
        differences: What differs, one clause each.
    """

    name: str
    bytes: int
    differences: Tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Proof:
    """What came out.

    Attributes:
        step: The step of the last checkpoint of the undisturbed run.
        kills: The names of the newest checkpoints at the moments of the kills.
        parts: The components.
        problems: What is wrong beside them.
        is_repeatable: Whether a second undisturbed run gave the same as the first; None where nobody had
            to know.
    """

    step: int
    kills: Tuple[str, ...]
    parts: Tuple[Part, ...]
    problems: Tuple[str, ...]
    is_repeatable: bool | None = None

    @property
    def holds(self) -> bool:
        """Whether the killed run ended with the same bits."""
        return not self.problems and not any(part.differences for part in self.parts)


def prove(
    command: Sequence[str],
    directory: Path,
    *,
    kills: int = 2,
    seed: int = 0,
    ignore: Collection[str] = VOLATILE,
    timeout: float | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Proof:
    """Run a training undisturbed and killed, and compare what both end with.

    Args:
        command: The training. ``{run}`` in it stands for the run's directory, which is in the environment
            as ``HFL_RUN``, too.
        directory: Where both runs go; it is made.
        kills: How often the second one is killed, and so resumed; 1 or more.
        seed: Decides the moments.
        ignore: Components that need not be the same.
        timeout: Seconds that one run may take.
        say: Told what happens.

    Returns:
        What came out.

    Raises:
        ConfigError: The training saves too rarely to be killed so often, or does not resume.
        NotFoundError: It cannot be started, or wrote no checkpoint.
        CheckpointDamagedError: A last checkpoint is damaged.
        HflError: It failed, or took too long.
    """
    if kills < 1:
        raise ConfigError(f"A run that is killed {kills} times proves nothing.", hint="Take 2.")
    undisturbed, killed = directory / "undisturbed", directory / "killed"
    for run in (undisturbed, killed):
        if run.exists():
            raise ConfigError(
                f"'{run}' exists already.", hint="Name a folder in which nothing was proved yet."
            )
        run.mkdir(parents=True)
    say("The undisturbed run.")
    Training(command, undisturbed, timeout).finish()
    expected = _last(undisturbed)
    if expected.sequence <= kills:
        raise ConfigError(
            f"The training saves {expected.sequence} checkpoints, which is too few for {kills} kills.",
            hint="Let it save more often, or train longer.",
        )
    chance = random.Random(seed)  # noqa: S311  # nosec  # nothing secret
    moments = sorted(chance.sample(range(1, expected.sequence), kills))
    gap = _gap(undisturbed)
    stood: List[Checkpoint] = []
    for number, moment in enumerate(moments, 1):
        after = max(moment, stood[-1].sequence + 1 if stood else 0)
        training = Training(command, killed, timeout)
        if not training.kill_after(after, chance.uniform(0, gap)):
            raise ConfigError(
                f"The training ended before it could be killed for the {number}. time.",
                hint="Let it save more often, or train longer.",
            )
        stood.append(_last(killed))
        _require_same_run(stood)
        say(f"Killed after {stood[-1].name}.")
    say("The last resume.")
    Training(command, killed, timeout).finish()
    found = _last(killed)
    _require_same_run([*stood, found])
    parts = _compare(expected, found, ignore)
    problems = []
    if expected.step != found.step:
        problems.append(f"one run ended at step {expected.step}, and the other at {found.step}")
    proof = Proof(expected.step, tuple(item.name for item in stood), parts, tuple(problems))
    if proof.holds:
        return proof
    say("They differ. One more undisturbed run, to see whether that one is the same.")
    again = directory / "again"
    again.mkdir()
    Training(command, again, timeout).finish()
    same = not any(part.differences for part in _compare(expected, _last(again), ignore))
    return dataclasses.replace(proof, is_repeatable=same)


def _last(run: Path) -> Checkpoint:
    latest = Catalog(run).latest()
    if latest is None:
        raise NotFoundError(
            f"The training wrote no checkpoint into '{run}'.",
            hint=f"Put {PLACEHOLDER} where it takes its directory, or let it read {VARIABLE} from the "
            "environment.",
        )
    return latest


def _gap(run: Path) -> float:
    """Seconds between two checkpoints, on average."""
    found = Catalog(run).checkpoints()
    apart = found[-1].sequence - found[0].sequence
    return (found[-1].created_at - found[0].created_at).total_seconds() / apart if apart else 0.0


def _require_same_run(line: Sequence[Checkpoint]) -> None:
    if len({item.run_id for item in line}) > 1:
        raise ConfigError(
            "The training began anew after a kill instead of going on.",
            hint="Call resume() before the loop.",
        )


def _compare(expected: Checkpoint, found: Checkpoint, ignore: Collection[str]) -> Tuple[Part, ...]:
    for item in (expected, found):
        require_intact(item.path)
    ours, theirs = read_manifest(expected.path), read_manifest(found.path)
    names = dict.fromkeys([*ours.components, *theirs.components])
    parts = []
    for name in names:
        if name in ignore:
            continue
        mine, its = _digests(ours, name), _digests(theirs, name)
        size = sum(number for number, _ in mine.values())
        differences: List[str] = []
        if mine != its:
            differences = _named(expected, found, name) or ["its files differ"]
        parts.append(Part(name, size, tuple(differences)))
    return tuple(parts)


def _digests(manifest: Manifest, name: str) -> Dict[str, Tuple[int, str]]:
    entry = manifest.components.get(name)
    wanted = () if entry is None else entry.files
    return {file.path: (file.size, file.xxh3) for file in manifest.files if file.path in wanted}


def _named(expected: Checkpoint, found: Checkpoint, name: str) -> List[str]:
    from hfl_checkpoint._difference import difference

    sides = [(item.path, read_manifest(item.path)) for item in (expected, found)]
    for (_, manifest), which in zip(sides, ("undisturbed", "killed")):
        if name not in manifest.components:
            return [f"the {which} run does not have it"]
    _, changes = difference(sides[0], sides[1], only=[name])
    return [
        f"{change.item} {change.kind}"
        + (f" by up to {change.max_abs:.3g}" if change.max_abs else "")
        + (f" from {change.before} to {change.after}" if change.before and change.after else "")
        for change in changes
    ]
