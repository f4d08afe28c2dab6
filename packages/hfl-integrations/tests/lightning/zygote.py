"""A process that has imported everything once, and forks one child for each training run that it is asked for.

Reads one JSON object per line: what to run. Answers with one: how the child ended, and what it reported.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import socket
import sys
import tempfile
import traceback

import torch

torch.set_num_threads(1)  # a fork inherits no threads

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
importlib.import_module(os.environ["LIGHTNING"])  # imported once, for all children
import scenario  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402, F401


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a run prints is no answer
    for line in sys.stdin:
        wanted = json.loads(line)
        ranks = wanted.get("ranks", 1)
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "NODE_RANK": "0"}
        children = [
            _fork(wanted, {**place, "LOCAL_RANK": str(rank)} if ranks > 1 else {})
            for rank in range(ranks)
        ]
        print(json.dumps([_answer(*child) for child in children]), file=answers, flush=True)


def _fork(wanted: dict, environment: dict) -> tuple:
    handle, path = tempfile.mkstemp()
    os.close(handle)
    child = os.fork()
    if child:
        return child, path
    os.environ.update(environment)
    code = 70
    try:
        report = (scenario.fabric if wanted.get("fabric") else scenario.run)(wanted)
        with open(path, "w") as file:
            json.dump(report, file)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        _save_coverage()
        sys.stderr.flush()
        os._exit(code)


def _answer(child: int, path: str) -> dict:
    _, status = os.waitpid(child, 0)
    with open(path) as file:
        text = file.read()
    os.unlink(path)
    signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    return {"signal": signal, "code": code, "report": json.loads(text) if text else None}


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _save_coverage() -> None:
    coverage = sys.modules.get("coverage")
    current = coverage.Coverage.current() if coverage is not None else None
    if current is not None:
        current.stop()
        current.save()


if __name__ == "__main__":
    main()
