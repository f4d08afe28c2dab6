"""A server that trains on demand: it has imported everything once, and forks the processes of each run.

    server ── zygote of a suite, forked when it is first asked for, with that suite's framework imported
                └─ handler of one request ── one process for each rank

All workers of pytest share one server. It ends when none of them is connected any more.

Every request is a line of JSON on a connection of its own, and so is every answer.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
import json
import os
import selectors
import socket
import sys
import tempfile
import traceback
from pathlib import Path


def main(folder: str) -> None:
    os.environ.update(_start_hub(folder))
    _import_what_all_need()
    listener = _listen(f"{folder}/server")
    alive, _held = os.pipe()  # the zygotes see the other end close when the server ends
    zygotes: dict = {}
    clients: set = set()
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    client, _ = listener.accept()
                    clients.add(client)
                    selector.register(client, selectors.EVENT_READ, client.makefile("r"))
                    continue
                suite = key.data.readline().strip()
                if suite:
                    if suite not in zygotes:
                        path = f"{folder}/{len(zygotes)}"
                        zygotes[suite] = _fork_zygote(suite, path, alive, _held)
                    _answer(key.fileobj, [zygotes[suite], os.environ["HF_TOKEN"]])
                    continue
                selector.unregister(key.fileobj)
                key.data.close()
                key.fileobj.close()
                clients.discard(key.fileobj)
                if not clients:
                    return


def _start_hub(folder: str) -> dict:
    """Run a Hub in a process of its own, before anything reads where the Hub is."""
    asked, told = os.pipe()
    alive, held = os.pipe()
    if os.fork() == 0:
        os.close(held)
        from hfl_localhub import LocalHub

        with LocalHub(Path(folder) / "hub") as hub:
            os.write(told, json.dumps(hub.settings(hub.create_user("ann"))).encode() + b"\n")
            os.read(alive, 1)  # until the server has ended
        os._exit(0)
    os.close(alive)
    os.set_inheritable(held, False)
    with os.fdopen(asked) as stream:
        return {**json.loads(stream.readline()), "HUB_HELD": str(held)}


def _import_what_all_need() -> None:
    import torch

    torch.set_num_threads(1)  # a fork inherits no threads

    import huggingface_hub
    import torch.distributed
    import torchdata.stateful_dataloader  # noqa: F401
    from sklearn.datasets import load_digits

    import hfl_checkpoint
    import hfl_metadata
    import hfl_state

    load_digits()
    hfl_metadata.capture()
    torch.optim.AdamW([torch.zeros(1)])  # imports a compiler, and what that needs
    assert huggingface_hub.HfApi
    for module in (hfl_checkpoint, hfl_metadata, hfl_state):
        for name in module.__all__:
            getattr(module, name)


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    return listener


def _answer(connection: socket.socket, value: object) -> None:
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(json.dumps(value).encode() + b"\n")


def _fork_zygote(suite: str, path: str, alive: int, held: int) -> str:
    """Start what forks the runs of a suite: ``"trainer"``, or ``"lightning:pytorch_lightning"``."""
    listener = _listen(path)
    if os.fork():
        listener.close()
        return path
    os.close(held)
    os.close(int(os.environ["HUB_HELD"]))
    try:
        _serve(suite, listener, alive)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _serve(suite: str, listener: socket.socket, alive: int) -> None:
    name, _, variant = suite.partition(":")
    os.environ["VARIANT"] = variant
    sys.path.insert(0, str(Path(__file__).parent / name))
    scenario = importlib.import_module("scenario")
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(alive, selectors.EVENT_READ)
        while True:
            if any(key.fileobj == alive for key, _ in selector.select()):
                return
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _handle(scenario, connection)
                os._exit(0)
            connection.close()
            _reap()


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _handle(scenario: object, connection: socket.socket) -> None:
    """Run once, or on every rank, and say how each process ended and what it reported."""
    wanted = json.loads(connection.makefile("r").readline())
    log = os.open(wanted["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        started = [
            _start(scenario, wanted, rank, port, Path(folder))
            for rank in range(wanted.get("ranks", 1))
        ]
        answers = [_ended(child, Path(folder) / str(rank)) for rank, child in enumerate(started)]
    _answer(connection, answers)


def _start(scenario: object, wanted: dict, rank: int, port: int, folder: Path) -> int:
    child = os.fork()
    if child:
        return child
    code, ranks = 70, wanted.get("ranks", 1)
    try:
        os.chdir(wanted["folder"])
        if ranks > 1:
            _be_one_of(ranks, rank, port)
        if ranks > 1 and wanted.get("joins", scenario.JOINS):
            _join(ranks, rank, folder / "meeting")
        report = scenario.run(wanted)
        (folder / str(rank)).write_text(json.dumps(report))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        _save_coverage()
        sys.stderr.flush()
        os._exit(code)


def _be_one_of(ranks: int, rank: int, port: int) -> None:
    """Set what torchrun sets."""
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks), LOCAL_WORLD_SIZE=str(ranks),
        NODE_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo",
        ACCELERATE_USE_CPU="true",
    )  # fmt: skip


def _join(ranks: int, rank: int, meeting: Path) -> None:
    """Set up the process group as a program may do before the framework would."""
    import torch.distributed

    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{meeting}",
        rank=rank,
        world_size=ranks,
        timeout=datetime.timedelta(seconds=60),
    )


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _ended(child: int, report: Path) -> dict:
    _, status = os.waitpid(child, 0)
    ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return {"ended": ended, "report": json.loads(report.read_text()) if report.exists() else None}


def _save_coverage() -> None:
    coverage = sys.modules.get("coverage")
    current = coverage.Coverage.current() if coverage is not None else None
    if current is not None:
        current.stop()
        current.save()


if __name__ == "__main__":
    main(sys.argv[1])
