"""What publishing costs: on the wire, beside ``upload_folder``, and the thread that trains. Run: ``make bench``.

A checkpoint of a frozen backbone and a head that was trained is pushed; then the head changes, and it
is pushed again under its next name. The Hub counts requests and bytes (git-lfs, so that every byte of a
large file is one of a PUT); the system counts what was read (``/proc/self/io``, where there is one). The peer
uploads the same two folders, each to a place of its own. Times are those of one machine in one run.

What ``save`` costs the thread that trains is told as the processor time of that thread, which other threads and
processes change little, and as the time on the clock. Once with publications that are over before the next save, which
is what the code costs; and once with one under way all the time, which on a machine without a free core also shows
what it takes of the processors and their caches.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from hfl_localhub import LocalHub

SAVE = """
import sys, torch
from hfl_checkpoint import CheckpointManager
run, size = sys.argv[1], int(sys.argv[2])
torch.manual_seed(0)
class Weights(torch.nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(size))
backbone, head = Weights(size // 4), Weights(size // 40)
with CheckpointManager(run, background=False) as checkpoints:
    checkpoints.save(1, backbone=backbone, head=head)
    torch.nn.init.normal_(head.weight)
    checkpoints.save(2, backbone=backbone, head=head)
"""
PUSH = """
import json, sys, time
from pathlib import Path
def read():
    try:
        lines = Path("/proc/self/io").read_text().split()
        return int(lines[lines.index("rchar:") + 1])
    except (OSError, ValueError):
        return 0
who, repo, run, name = sys.argv[1:]
from huggingface_hub import HfApi, get_session  # loaded before the clock starts, for both
get_session()
if who == "ours":
    from hfl_checkpoint._remote._publish import Publisher
    from hfl_checkpoint._remote._queue import Target
    from hfl_checkpoint._run import RunDirectory
    publisher = Publisher(RunDirectory(run), Target(repo, "checkpoints"), policies=None)
    push = lambda: publisher.publish_only([name])
else:
    api = HfApi()
    api.create_repo(repo, private=True, exist_ok=True)
    push = lambda: api.upload_folder(
        repo_id=repo, folder_path=f"{run}/{name}", path_in_repo=f"checkpoints/{name}"
    )
before, start = read(), time.perf_counter()
push()
print(json.dumps([time.perf_counter() - start, read() - before]))
"""
TRAIN = """
import json, sys, time, torch
from hfl_checkpoint import CheckpointManager
from pathlib import Path
run, repo, saves, overlaps = sys.argv[1], sys.argv[2] or None, int(sys.argv[3]), sys.argv[4] == "yes"
def is_published():
    queue = Path(run, ".uploads", "queue.json")
    return not queue.exists() or not json.loads(queue.read_bytes())["pending"]
torch.manual_seed(0)
model = torch.nn.Linear(1024, 1024)
optimizer = torch.optim.AdamW(model.parameters())
model(torch.randn(2, 1024)).sum().backward()
optimizer.step()
took = []
with CheckpointManager(run, hub=repo, hub_wait=0) as checkpoints:
    for step in range(1, saves + 1):
        checkpoints.wait()
        while not (overlaps or is_published()):
            time.sleep(0.01)
        time.sleep(0.05)  # the steps between two saves
        start = time.perf_counter(), time.thread_time()
        checkpoints.save(step, model=model, optimizer=optimizer)
        took.append((time.perf_counter() - start[0], time.thread_time() - start[1]))
print(json.dumps(took[2:]))
"""
VERSIONS = """
import hfl_checkpoint, huggingface_hub, torch
print("hfl-checkpoint", hfl_checkpoint.__version__, "huggingface_hub", huggingface_hub.__version__,
      "torch", torch.__version__)
"""


def python(program: str, *arguments: str, env: dict[str, str]) -> str:
    """Run a program in a process of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def compare_pushes(place: Path, size: int) -> None:
    """Push two checkpoints of which one file differs, with each, and print what the second one cost."""
    run = place / "run"
    python(SAVE, str(run), str(size), env={**os.environ})
    print(
        f"\nThe second push: a backbone of {size / 1e6:.0f} MB stays, a head of {size / 1e7:.0f} MB changed"
    )
    print(f"{'':16}requests   MB sent   MB read  seconds")
    for who in ("ours", "upload_folder"):
        with LocalHub(place / f"hub-{who}") as hub:
            env = {
                **os.environ,
                **hub.settings(hub.create_user("ann")),
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                "XDG_CACHE_HOME": str(place / f"cache-{who}"),
            }
            python(PUSH, who, "ann/run", str(run), "step-00000001", env=env)
            hub.requests.clear()
            answer = python(PUSH, who, "ann/run", str(run), "step-00000002", env=env)
            seconds, read = json.loads(answer.splitlines()[-1])
            sent = hub.requests.bytes_in() / 1e6
            print(f"{who:16}{len(hub.requests):>8}{sent:>10.1f}{read / 1e6:>10.1f}{seconds:>9.2f}")


def measure_training(place: Path, saves: int) -> None:
    """Print what ``save`` takes on the thread that trains, with publication and without."""
    print(f"\nsave() on the thread that trains, median of {saves - 2}, ms")
    print(f"{'':16}processor     clock")
    with LocalHub(place / "hub-train") as hub:
        env = {**os.environ, **hub.settings(hub.create_user("ann"))}
        medians = []
        for what, repo, overlaps in (
            ("not published", "", "no"),
            ("published", "ann/train", "no"),
            ("under way", "ann/busy", "yes"),
        ):
            answer = python(TRAIN, str(place / what), repo, str(saves), overlaps, env=env)
            clock, processor = (1000 * statistics.median(item) for item in zip(*json.loads(answer)))
            medians.append(clock)
            print(f"{what:16}{processor:>9.2f}{clock:>10.2f}")
        print(f"{'cost':16}{'':9}{medians[1] - medians[0]:>10.2f}   goal: below 1")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=64, help="size of the backbone")
    parser.add_argument("--saves", type=int, default=22)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(python(VERSIONS, env={**os.environ}).strip())
        compare_pushes(Path(folder), arguments.megabytes * 1_000_000)
        measure_training(Path(folder), arguments.saves)


if __name__ == "__main__":
    main()
