"""A process that has imported everything once, and forks one child for each training run that it is asked for.

Reads one JSON object per line: what to run. Answers with one: how the child ended, and what it reported.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import tempfile
import traceback

import torch
import torch.distributed

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
    """Run once, or on every rank; a run on ranks is answered with what all of them say."""
    count = wanted.get("ranks", 1)
    meeting = tempfile.mktemp()
    started = [_start(wanted, rank, count, meeting) for rank in range(count)]
    answers = [_answer(*item) for item in started]
    return answers[0] if count == 1 else {"ranks": answers}


def _start(wanted: dict, rank: int, count: int, meeting: str) -> tuple:
    handle, path = tempfile.mkstemp()
    os.close(handle)
    child = os.fork()
    if child == 0:
        code = 70
        try:
            if count > 1:
                _join(rank, count, meeting)
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
    return child, path


def _join(rank: int, count: int, meeting: str) -> None:
    """What torchrun sets, but for a port: the ranks meet in a file."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(count),
        LOCAL_WORLD_SIZE=str(count),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT="0",
        GLOO_SOCKET_IFNAME="lo",
    )
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{meeting}",
        rank=rank,
        world_size=count,
        timeout=datetime.timedelta(seconds=30),
    )


def _answer(child: int, path: str) -> dict:
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
