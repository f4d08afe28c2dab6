"""Validating the files of a model: what a stranger gets, in a fresh process, offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

from hfl_core import get_logger, redact
from hfl_core.errors import ValidationError
from hfl_registry._inputs import sample_inputs
from hfl_registry._loading import loading_lines
from hfl_registry._report import Check, ModelValidationReport
from hfl_registry._stage import Staged

__all__ = ["validate_staged"]

_LOG = get_logger(__name__)
_TEXT = "The quick brown fox, 42 times."
# Values that name a token, a profile or another place of modules have no business in a stranger's process.
_REMOVED = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_MODULES_CACHE",
    "TRANSFORMERS_CACHE",
    "PYTHONPATH",
)


def validate_staged(
    staged: Staged,
    model: Any,
    companions: Mapping[str, Any],
    *,
    inputs: Mapping[str, Any] | None = None,
    tolerance: float = 1e-5,
    timeout: float = 600.0,
) -> ModelValidationReport:
    """Load the files in a fresh process, and compare what they compute with the live model.

    Args:
        staged: The files.
        model: The live model.
        companions: Its tokenizer, processor and image processor, as far as there are.
        inputs: Tensors by the name of the argument; None to make some from the configuration.
        tolerance: The largest difference of an output that passes.
        timeout: Seconds for the process.

    Returns:
        What was found.
    """
    name = type(model).__name__
    with tempfile.TemporaryDirectory(prefix="hfl-") as place:
        work = Path(place)
        given = sample_inputs(model) if inputs is None else dict(inputs)
        expected, problem = _expected(model, given)
        request = _request(staged, model, companions, work, given if expected else None)
        answer = _ask(request, work, timeout)
        checks = [
            Check(
                each["name"],
                "passed" if each["problem"] is None else "failed",
                _private(each["problem"] or "", staged.folder),
                each["seconds"],
            )
            for each in answer["checks"]
        ]
        difference = None
        if expected is None:
            checks.append(Check("outputs", "skipped", problem))
        elif (work / "outputs.safetensors").exists():
            difference, text = _compared(expected, work / "outputs.safetensors")
            checks = [
                _judged(check, difference, tolerance, text) if check.name == "outputs" else check
                for check in checks
            ]
    return ModelValidationReport(
        name, tuple(checks), staged.files, staged.code.requirements, difference, tolerance
    )


def _judged(check: Check, difference: float, tolerance: float, text: str) -> Check:
    is_close = difference <= tolerance  # a NaN is not
    return Check(check.name, "passed" if is_close else "failed", text, check.seconds)


def _expected(model: Any, inputs: Mapping[str, Any] | None) -> Tuple[Dict[str, Any] | None, str]:
    """What the live model computes, or why that is not known."""
    from hfl_registry._child import run_forward

    if inputs is None:
        return None, "it cannot be told what the model takes; pass inputs={'name': tensor}"
    device = next((each.device for each in model.parameters()), None)
    moved = {name: value.to(device) for name, value in inputs.items()} if device else dict(inputs)
    try:
        return {key: value.cpu() for key, value in run_forward(model, moved).items()}, ""
    except Exception as error:  # noqa: BLE001  # whatever a model raises is told
        _LOG.debug("The live model does not take the input: %s", error)
        kind = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return (
            None,
            f"the live model does not take the input that was made for it ({kind}); pass inputs=",
        )


def _request(
    staged: Staged,
    model: Any,
    companions: Mapping[str, Any],
    work: Path,
    inputs: Mapping[str, Any] | None,
) -> Dict[str, Any]:
    from safetensors.torch import save_file

    if inputs is not None:
        save_file(
            {k: v.cpu().contiguous() for k, v in inputs.items()}, str(work / "inputs.safetensors")
        )
    tokenizer = companions.get("tokenizer")
    autos = {"processor": "AutoProcessor", "image_processor": "AutoImageProcessor"}
    ignored = getattr(model, "_keys_to_ignore_on_load_missing", None) or ()
    tied = _tied_groups(model)
    return {
        "folder": str(staged.folder),
        "usage": loading_lines(
            staged.folder.as_posix(),
            staged.auto_class,
            has_code=staged.has_code,
            companions=tuple(companions),
        ),
        "auto_class": staged.auto_class,
        "has_code": staged.has_code,
        "absent": staged.code.modules,
        "inputs": None if inputs is None else str(work / "inputs.safetensors"),
        "outputs": str(work / "outputs.safetensors"),
        "prefix": staged.prefix,
        "tied": tied,
        "excused": [*map(str, ignored), *(staged.prefix + n for group in tied for n in group)],
        "tokenizer": (
            None
            if tokenizer is None
            else {"text": _TEXT, "ids": [int(each) for each in tokenizer(_TEXT)["input_ids"]]}
        ),
        "companions": {
            autos[kind]: type(each).__name__ for kind, each in companions.items() if kind in autos
        },
    }


def _tied_groups(model: Any) -> List[List[str]]:
    groups: Dict[int, List[str]] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if hasattr(value, "data_ptr"):
            groups.setdefault(id(value), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _ask(request: Mapping[str, Any], work: Path, timeout: float) -> Dict[str, Any]:
    place = work / "request.json"
    place.write_text(json.dumps(request), encoding="utf-8")
    home = work / "home"
    home.mkdir()
    environment = {key: value for key, value in os.environ.items() if key not in _REMOVED}
    environment.update(
        HF_HOME=str(home),
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_OFFLINE="1",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        TOKENIZERS_PARALLELISM="false",
    )
    child = Path(__file__).with_name("_child.py")
    # -I: neither the folder that this runs in nor PYTHONPATH is looked at for modules.
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(child), str(place)],
            cwd=str(work),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ValidationError(
            f"Loading the model in a fresh process took more than {timeout:g} seconds.",
            hint="Pass a larger timeout.",
        ) from error
    answer = place.with_suffix(".answer")
    if not answer.exists():
        last = redact(" ".join(done.stdout.split())[-600:])
        raise ValidationError(
            f"The process that loads the model ended with status {done.returncode}: {last}"
        )
    found: Dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def _private(text: str, folder: Path) -> str:
    return redact(text.replace(f"{folder}/", "").replace(str(folder), "the folder"))


def _compared(expected: Mapping[str, Any], path: Path) -> Tuple[float, str]:
    """Return the largest difference, and which output has it."""
    from safetensors.torch import load_file

    found = load_file(str(path))
    if set(found) != set(expected):
        odd = ", ".join(sorted(set(found) ^ set(expected)))
        return float("inf"), f"other outputs come back: {odd}"
    worst, which = 0.0, ""
    for name, value in expected.items():
        if found[name].shape != value.shape:
            return (
                float("inf"),
                f"{name} has the shape {list(found[name].shape)}, not {list(value.shape)}",
            )
        if not value.numel():
            continue
        ours, theirs = value.double(), found[name].double()
        gap = (ours - theirs).abs()
        gap[ours == theirs] = 0  # infinities, which masks are made of
        gap[ours.isnan() & theirs.isnan()] = 0
        largest = float(gap.max())
        if not largest <= worst:
            worst, which = largest, name
    return worst, f"largest difference {worst:g}" + (f" in {which}" if which else "")
