"""What a stranger does with a published model, in a process of its own.

Run by path and alone: nothing of this project is imported, one's own modules cannot be, and nothing outside
this machine is reached. It reads a request and writes an answer, both JSON; outputs go to a safetensors file.
"""

from __future__ import annotations

import functools
import importlib.abc
import json
import socket
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List


class _Absent(importlib.abc.MetaPathFinder):
    """Makes modules of whoever publishes as absent as they are for everybody else."""

    def __init__(self, names: List[str]) -> None:
        self._names = set(names)

    def find_spec(self, name: str, *_: Any) -> None:
        if name.partition(".")[0] in self._names:
            message = f"No module named {name!r}"
            raise ModuleNotFoundError(message, name=name)


class _Checks:
    """Runs checks and keeps what became of each."""

    def __init__(self) -> None:
        self.found: List[Dict[str, Any]] = []

    def run(self, name: str, check: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        try:
            problem, value = None, check()
        except Exception as error:  # noqa: BLE001  # what becomes of it is told to whoever asked
            problem, value = _told(error), None
        spent = time.perf_counter() - began
        self.found.append({"name": name, "problem": problem, "seconds": round(spent, 3)})
        return value


class _ProblemError(Exception):
    """Something that is wrong, said already."""


def _told(error: Exception) -> str:
    if isinstance(error, _ProblemError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame for frame in frames if "transformers_modules" in frame.filename]
    where = f" ({Path(places[-1].filename).name}:{places[-1].lineno})" if places else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}{where}"


def _flat(value: Any, name: str = "output") -> Dict[str, Any]:
    """Name every tensor of an output."""
    import torch

    if isinstance(value, torch.Tensor):
        return {name: value.detach()}
    if isinstance(value, dict) or hasattr(value, "items"):
        parts = list(value.items())
    elif isinstance(value, (list, tuple)):
        parts = list(enumerate(value))
    else:
        return {}
    found: Dict[str, Any] = {}
    for key, inner in parts:
        found.update(_flat(inner, f"{name}.{key}"))
    return found


def run_forward(model: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
    """Call a model the way it is compared: nothing random, nothing cached."""
    import torch

    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            output = model(**inputs)
    finally:
        model.train(was_training)
    found = _flat(output)
    return {
        name: value.float().contiguous() if value.is_floating_point() else value.contiguous()
        for name, value in found.items()
        if "past_key_values" not in name
    }


def _load_model(request: Dict[str, Any], **options: Any) -> Any:
    import transformers

    auto = getattr(transformers, request["auto_class"])
    return auto.from_pretrained(request["folder"], local_files_only=True, **options)


def _config_round_trip(request: Dict[str, Any]) -> None:
    import tempfile

    import transformers

    trust = {"trust_remote_code": request["has_code"]}
    # A folder of this disk.
    config = transformers.AutoConfig.from_pretrained(request["folder"], **trust)  # nosec B615
    with tempfile.TemporaryDirectory() as folder:
        # A class of its own is not found again by itself: that is the folder's code, looked at above.
        config._auto_class = None
        config.save_pretrained(folder)
        again = type(config).from_pretrained(folder)
    before, after = config.to_dict(), again.to_dict()
    ignored = {"transformers_version", "_name_or_path", "auto_map", "_commit_hash"}
    changed = sorted(
        key for key in {*before, *after} - ignored if before.get(key) != after.get(key)
    )
    if changed:
        raise _ProblemError(f"saved and loaded again, its {', '.join(changed)} differ")


def _asks_for_trust(request: Dict[str, Any]) -> None:
    try:
        _load_model(request, trust_remote_code=False)
    except ValueError as error:
        if "trust_remote_code" in str(error):
            return
        raise
    raise _ProblemError("it loads without trust_remote_code=True, so its own code is not used")


def _load(request: Dict[str, Any]) -> Any:
    model, info = _load_model(
        request, output_loading_info=True, trust_remote_code=request["has_code"]
    )
    problems = []
    for kind, text in (
        ("missing_keys", "not in the file"),
        ("unexpected_keys", "not in the model"),
    ):
        names = sorted(set(info.get(kind, ())) - set(request["excused"]))
        if names:
            problems.append(f"{', '.join(map(repr, names[:5]))} {text}")
    if info.get("mismatched_keys"):
        problems.append(f"shapes differ: {sorted(map(str, info['mismatched_keys']))[:5]}")
    if problems:
        raise _ProblemError("; ".join(problems))
    return model


def _ties(request: Dict[str, Any], model: Any) -> None:
    values = dict(model.named_parameters(remove_duplicate=False))
    values.update(model.named_buffers(remove_duplicate=False))
    prefix = request["prefix"]
    for names in request["tied"]:
        places = {values[prefix + name].data_ptr() for name in names if prefix + name in values}
        if len(places) > 1:
            raise _ProblemError(f"{' and '.join(map(repr, names))} were one tensor and are two")


def _outputs(request: Dict[str, Any], model: Any) -> None:
    from safetensors.torch import load_file, save_file

    inputs = load_file(request["inputs"])
    save_file(run_forward(model, inputs), request["outputs"])


def _tokenizer(request: Dict[str, Any]) -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(  # nosec B615  # a folder of this disk
        request["folder"], trust_remote_code=request["has_code"]
    )
    wanted = request["tokenizer"]
    ids = tokenizer(wanted["text"])["input_ids"]
    if list(ids) != wanted["ids"]:
        raise _ProblemError(
            f"it reads {wanted['text']!r} as {list(ids)[:12]} instead of {wanted['ids'][:12]}"
        )


def _companion(request: Dict[str, Any], name: str) -> None:
    import transformers

    auto = getattr(transformers, name)
    found = auto.from_pretrained(request["folder"], trust_remote_code=request["has_code"])
    wanted = request["companions"][name]
    if type(found).__name__ != wanted:
        raise _ProblemError(f"{name} gives a {type(found).__name__} instead of a {wanted}")


def _usage(request: Dict[str, Any]) -> None:
    # The card's own lines, with the folder in place of the repository: what is printed there has run.
    exec(compile("\n".join(request["usage"]), "<card>", "exec"), {})  # noqa: S102  # nosec B102


def check(request: Dict[str, Any]) -> Dict[str, Any]:
    """Do all that a request asks for."""
    checks = _Checks()
    checks.run("config", lambda: _config_round_trip(request))
    if request["has_code"]:
        checks.run("trust", lambda: _asks_for_trust(request))
    model = checks.run("load", lambda: _load(request))
    if model is not None:
        if request["tied"]:
            checks.run("tied weights", lambda: _ties(request, model))
        if request["inputs"]:
            checks.run("outputs", lambda: _outputs(request, model))
    if request["tokenizer"]:
        checks.run("tokenizer", lambda: _tokenizer(request))
    for name in request["companions"]:
        checks.run(name, functools.partial(_companion, request, name))
    checks.run("usage", lambda: _usage(request))
    return {"checks": checks.found}


def _refuse(*_: Any, **__: Any) -> None:
    message = "the network was asked for"
    raise OSError(message)


def main() -> None:
    """Answer the request whose file is named on the command line."""
    place = Path(sys.argv[1])
    request = json.loads(place.read_text(encoding="utf-8"))
    sys.meta_path.insert(0, _Absent(request["absent"]))
    setattr(socket.socket, "connect", _refuse)  # noqa: B010  # no assignment to a method
    warnings.simplefilter("ignore")
    import transformers

    quiet: Any = transformers.logging.set_verbosity_error
    quiet()
    place.with_suffix(".answer").write_text(json.dumps(check(request)), encoding="utf-8")


if __name__ == "__main__":
    main()
