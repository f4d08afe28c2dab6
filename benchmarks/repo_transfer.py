"""What a push costs in requests, bytes and time, beside ``HfApi.upload_folder``. Run: ``make bench``.

Both push the same folder, each from a fresh process to a local Hub of its own (Xet would find the other's
content): the first time, again with nothing changed, and again with one large file changed. The Hub counts. Read and hashed
bytes are told by the system (``/proc/self/io``, where there is one), so "not even read" can be seen.
Times are those of one machine in one run: compare the columns, not two runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable

from hfl_localhub import LocalHub

PUSH = """
import json, sys, time
from pathlib import Path
def read():
    try:
        lines = Path("/proc/self/io").read_text().split()
        return int(lines[lines.index("rchar:") + 1])
    except (OSError, ValueError):
        return 0
who, repo, folder = sys.argv[1:]
from huggingface_hub import HfApi, get_session  # loaded before the clock starts, for both
get_session()
if who == "ours":
    from hfl_repo import RepoManager
    push = lambda: RepoManager(repo).upload(folder)
else:
    push = lambda: HfApi().upload_folder(repo_id=repo, folder_path=folder)
before, start = read(), time.perf_counter()
push()
print(json.dumps([time.perf_counter() - start, read() - before]))
"""
VERSIONS = """
import hfl_repo, huggingface_hub
print("hfl-repo", hfl_repo.__version__, "huggingface_hub", huggingface_hub.__version__)
"""


def noise(size: int) -> bytes:
    """Make bytes that cannot be compressed and that no storage has seen."""
    return random.getrandbits(8 * size).to_bytes(size, "little")


def push(hub: LocalHub, environment: dict[str, str], who: str, folder: Path) -> str:
    """Push once in a process of its own; return a line of the table."""
    hub.requests.clear()
    done = subprocess.run(
        [sys.executable, "-c", PUSH, who, f"ann/{who}", str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds, read = json.loads(done.stdout.splitlines()[-1])
    count, sent = hub.requests.count(), hub.requests.bytes_in()
    commits = hub.requests.count("POST", "*/commit/*")
    return f"{count:>8,}{commits:>9}{sent / 1e6:>10.1f}{read / 1e6:>11.1f}{seconds:>9.2f}"


def compare(title: str, files: int, large: int, size: int, *, xet: bool) -> None:
    """Push a folder three times with each, and print what it cost."""
    print(f"\n{title}, {'Xet' if xet else 'git-lfs'}")
    print(f"{'':38}requests  commits   MB sent    MB read  seconds")
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory())
        hubs, environments = {}, {}
        for who in ("ours", "theirs"):
            hub = hubs[who] = stack.enter_context(LocalHub(Path(place) / who))
            environments[who] = {
                **hub.environment(hub.create_user("ann")),
                "XDG_CACHE_HOME": f"{place}/cache-{who}",
                "HF_HUB_DISABLE_XET": "0" if xet else "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            }
        folder = Path(place) / "folder"
        folder.mkdir()
        for number in range(files):
            (folder / f"{number:05d}.json").write_text(json.dumps({"number": number}))
        for number in range(large):
            (folder / f"shard-{number}.bin").write_bytes(noise(size))
        code = "import sys; from hfl_repo import RepoManager; RepoManager(sys.argv[1]).create()"
        for who, environment in environments.items():
            subprocess.run([sys.executable, "-c", code, f"ann/{who}"], env=environment, check=True)

        def change_one() -> None:
            (folder / "shard-0.bin").write_bytes(noise(size))

        steps: list[tuple[str, Callable[[], None]]] = [
            ("first push", lambda: None),
            ("nothing changed", lambda: None),
            ("one large file changed", change_one),
        ]
        for step, prepare in steps:
            prepare()
            for who, name in (("ours", "hfl-repo"), ("theirs", "upload_folder")):
                print(f"{step if who == 'ours' else '':24}{name:>14}", end="")
                print(push(hubs[who], environments[who], who, folder))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=8, help="size of each large file")
    parser.add_argument("--large", type=int, default=8, help="how many large files")
    parser.add_argument("--files", type=int, default=2000, help="how many small files")
    options = parser.parse_args()
    print(
        subprocess.run(
            [sys.executable, "-c", VERSIONS], capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    size = options.mib << 20
    for xet in (False, True):
        compare(
            f"{options.large} large files of {options.mib} MiB", 3, options.large, size, xet=xet
        )
    compare(f"{options.files:,} small files and one large one", options.files, 1, size, xet=False)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    main()
