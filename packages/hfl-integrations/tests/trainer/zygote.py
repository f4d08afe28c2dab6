"""A process that has imported everything once, and forks one child for each training run that it is asked for.

Reads one JSON object per line: what to run. Answers with one: how the child ended, and what it reported.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback

import torch

torch.set_num_threads(1)  # a fork inherits no threads

import accelerate  # noqa: E402, F401  # imported once, for all children
import peft  # noqa: E402, F401
import torchdata.stateful_dataloader  # noqa: E402, F401
import transformers  # noqa: E402, F401
from sklearn.datasets import load_digits  # noqa: E402, F401

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import scenario  # noqa: E402

scenario.import_all()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a run prints is no answer
    for line in sys.stdin:
        print(json.dumps(_fork(json.loads(line))), file=answers, flush=True)


def _fork(wanted: dict) -> dict:
    handle, path = tempfile.mkstemp()
    os.close(handle)
    child = os.fork()
    if child == 0:
        code = 70
        try:
            report = scenario.run(wanted)
            with open(path, "w") as file:
                json.dump(report, file)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            _save_coverage()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    with open(path) as file:
        text = file.read()
    os.unlink(path)
    signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    return {"signal": signal, "code": code, "report": json.loads(text) if text else None}


def _save_coverage() -> None:
    coverage = sys.modules.get("coverage")
    current = coverage.Coverage.current() if coverage is not None else None
    if current is not None:
        current.stop()
        current.save()


if __name__ == "__main__":
    main()
