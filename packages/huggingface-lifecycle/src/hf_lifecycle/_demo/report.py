"""What the demo found, as facts, and how a person gets to see them."""

from __future__ import annotations

import dataclasses
from typing import Any, Mapping

from hf_lifecycle._demo.comparison import Comparison, compare_runs
from hf_lifecycle._demo.conductor import Training
from hf_lifecycle._demo.publication import Arrival, Publication
from hfl_core import HflError
from hfl_core.cli import Output, human_bytes


@dataclasses.dataclass(frozen=True)
class DemoReport:
    """The facts of one demo.

    Attributes:
        identical: Whether the killed training and the undisturbed one ended with the same bits.
        seed: Repeats the moments of the kills.
        directory: Where both runs are, or None when they were temporary.
        steps: Steps of each training.
        seconds: How long everything took.
        kills: What the first training went through.
        kept: The checkpoints that it has at the end, and why.
        components: The comparison of the last checkpoints.
        differences: What differs; empty when nothing does.
        accuracy: On the test images, of the killed training.
        accuracy_undisturbed: The same of the other.
        published: The best model, published to a local Hub and loaded back.
        resumed_elsewhere: The run, resumed from that Hub in an empty folder.
    """

    identical: bool
    seed: int
    directory: str | None
    steps: int
    seconds: float
    kills: list[dict[str, Any]]
    kept: list[dict[str, Any]]
    components: list[dict[str, Any]]
    differences: list[str]
    accuracy: float
    accuracy_undisturbed: float
    published: dict[str, Any]
    resumed_elsewhere: dict[str, Any]


def report_on(
    killed: Training,
    undisturbed: Training,
    published: Publication,
    arrived: Arrival,
    *,
    seed: int,
    directory: str | None,
    seconds: float,
) -> DemoReport:
    """Compare two trainings and gather the facts.

    Args:
        killed: The training that was killed and resumed.
        undisturbed: The same training in one piece.
        published: The best model of the first, on a local Hub.
        arrived: What was resumed from that Hub.
        seed: The seed of the kills.
        directory: Where the runs stay, or None.
        seconds: The time that it took.

    Returns:
        The facts.
    """
    comparison: Comparison = compare_runs(killed.run, undisturbed.run)
    differences = comparison.differences
    if killed.accuracy != undisturbed.accuracy:
        differences.append("the accuracy on the test images differs")
    if not published.identical:
        differences.append("the model that came back from the local Hub differs")
    if not arrived.identical or arrived.accuracy != killed.accuracy:
        differences.append("the run that was resumed from the local Hub differs")
    return DemoReport(
        identical=not differences,
        seed=seed,
        directory=directory,
        steps=killed.steps,
        seconds=round(seconds, 1),
        kills=[dataclasses.asdict(kill) for kill in killed.kills],
        kept=killed.kept,
        components=[
            {
                "name": part.name,
                "identical": part.is_identical,
                "kind": part.kind,
                "bytes": part.bytes,
                "digests": part.digests,
                "differences": part.differences,
            }
            for part in comparison.components
        ],
        differences=differences,
        accuracy=killed.accuracy,
        accuracy_undisturbed=undisturbed.accuracy,
        published=dataclasses.asdict(published),
        resumed_elsewhere=dataclasses.asdict(arrived),
    )


def show(report: DemoReport, output: Output) -> None:
    """Show the facts in the format that was asked for.

    Args:
        report: The facts.
        output: Where they go.
    """
    if output.format != "table":
        output.record(dataclasses.asdict(report))
        return
    output.rows(
        report.kills,
        {
            "moment": "Killed",
            "step": "Step",
            "epoch": "Epoch",
            "batch": "Batch",
            "resumed_from": "Resumed from",
            "repeated_steps": "Repeated",
        },
        show={"resumed_from": lambda name: name or "the beginning"},
    )
    output.rows(
        report.kept,
        {"name": "Checkpoint", "eval_loss": "eval_loss", "bytes": "Size", "why": "Kept because"},
        show={"bytes": human_bytes, "eval_loss": lambda loss: f"{loss:.4f}"},
    )
    output.rows(
        report.components,
        {"name": "Component", "identical": "Same bits", "bytes": "Size", "digests": "xxh3-128"},
        show={"bytes": human_bytes, "digests": _short},
    )
    output.record(_summary(report))


def require_identical(report: DemoReport) -> None:
    """Turn a failed proof into an error, and so into an exit code.

    Args:
        report: The facts.

    Raises:
        HflError: The two trainings did not end with the same bits.
    """
    if not report.identical:
        raise HflError(
            f"The two trainings did not end with the same bits: {'; '.join(report.differences)}.",
            hint=f"To look closer: hfl demo --seed {report.seed} --directory DIRECTORY",
        )


def _short(digests: Mapping[str, str]) -> str:
    return " ".join(digest[:8] for digest in digests.values())


def _summary(report: DemoReport) -> dict[str, str]:
    verdict = (
        f"Identical. Killed {len(report.kills)} times and resumed, the training ended with the "
        f"same bits as the one that was never stopped."
        if report.identical
        else f"DIFFERENT: {'; '.join(report.differences)}"
    )
    accuracy = f"{report.accuracy:.1%} of 300 images that the network had not seen"
    published, arrived = report.published, report.resumed_elsewhere
    same = "the same bits" if published["identical"] else "OTHER BITS"
    summary = {
        "Verdict": verdict,
        "Test accuracy": accuracy,
        "Published": f"{published['checkpoint']} to {published['repo_id']} on a local Hub; "
        f"loaded back with the ordinary client: {same}, accuracy {published['accuracy']:.1%}",
        "Resumed elsewhere": f"{arrived['checkpoint']} from that Hub, in an empty folder: "
        f"{'the same bits' if arrived['identical'] else 'OTHER BITS'}, "
        f"accuracy {arrived['accuracy']:.1%}",
        "Time": f"{report.seconds:.0f} s",
    }
    if report.directory is not None:
        summary["Runs"] = report.directory
    return {**summary, "Repeat with": f"--seed {report.seed}"}
