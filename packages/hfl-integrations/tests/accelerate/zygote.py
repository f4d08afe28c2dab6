"""A process that has imported everything once, and forks the processes of each training run that it is asked for.

Reads one JSON object per line: what to run, in how many processes. Answers with one: how they ended, and what they
reported.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import traceback

import torch

torch.set_num_threads(1)  # a fork inherits no threads

import accelerate  # noqa: E402, F401  # imported once, for all children
import datasets  # noqa: E402, F401
import torch.distributed  # noqa: E402
import torchdata.stateful_dataloader  # noqa: E402, F401
import transformers  # noqa: E402, F401
from transformers import GPT2LMHeadModel  # noqa: E402, F401

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import scenario  # noqa: E402


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a run prints is no answer
    for line in sys.stdin:
        wanted = json.loads(line)
        world, port = wanted.pop("world", 1), _free_port()
        children = [_fork(wanted, rank, world, port) for rank in range(world)]
        print(json.dumps([_ended(*child) for child in children]), file=answers, flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _fork(wanted: dict, rank: int, world: int, port: int) -> tuple:
    handle, path = tempfile.mkstemp()
    os.close(handle)
    child = os.fork()
    if child:
        return child, path
    code = 70
    try:
        if world > 1:
            os.environ.update(
                RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1",
                MASTER_PORT=str(port), ACCELERATE_USE_CPU="true", GLOO_SOCKET_IFNAME="lo",
            )  # fmt: skip
        report = scenario.run(wanted, rank)
        with open(path, "w") as file:
            json.dump(report, file)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        _save_coverage()
        sys.stderr.flush()
        os._exit(code)


def _ended(child: int, path: str) -> dict:
    _, status = os.waitpid(child, 0)
    with open(path) as file:
        text = file.read()
    os.unlink(path)
    signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    return {"ended": signal or code, "report": json.loads(text) if text else None}


def _save_coverage() -> None:
    coverage = sys.modules.get("coverage")
    current = coverage.Coverage.current() if coverage is not None else None
    if current is not None:
        current.stop()
        current.save()


if __name__ == "__main__":
    main()
