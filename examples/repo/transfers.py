"""Upload a model, change one shard, and upload again: only that shard travels.

    python examples/repo/transfers.py

It uses a Hub of its own on this machine. With the public Hub, leave out `LocalHub` and the environment.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

from hfl_localhub import LocalHub

os.environ.update(XDG_CACHE_HOME=str(Path("cache").resolve()))
for name in ("HF_TOKEN", "HFL_PROFILE", "HF_ENDPOINT", "HFL_ENDPOINT"):
    os.environ.pop(name, None)


def noise(size: int) -> bytes:
    """Make bytes that look like weights: they cannot be compressed."""
    return random.getrandbits(8 * size).to_bytes(size, "little")


with LocalHub() as hub:
    os.environ.update(hub.settings(hub.create_user("ann")))

    from hfl_repo import RepoManager, UnsafeUploadError

    repo = RepoManager("ann/digits")
    repo.create(private=True, license="mit")

    model = Path("model")
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text('{"layers": 2}')
    for number in range(4):
        (model / f"shard-{number}.bin").write_bytes(noise(1_000_000))

    first = repo.upload(model, message="First weights", private=True)
    print(f"{len(first.files)} files, {first.bytes_sent:,} bytes sent: commit {first.commit}")

    # One shard changes; another is kept under a second name.
    (model / "shard-2.bin").write_bytes(noise(1_000_000))
    (model / "best.bin").write_bytes((model / "shard-0.bin").read_bytes())
    for change in repo.diff(model):
        print(f"  {change.kind:6} {change.path} {change.copied_from or ''}")
    second = repo.upload(model, message="Better weights")
    print(f"{second.bytes_sent:,} sent, {second.bytes_copied:,} copied on the Hub")
    assert second.bytes_sent == second.bytes_copied == 1_000_000

    # The same again: no commit, and nothing is sent.
    assert repo.upload(model).commit is None

    # What should not leave the machine does not.
    (model / "args.json").write_text('{"hub_token": "hf_' + "a1B2" * 8 + '"}')
    try:
        repo.upload(model)
    except UnsafeUploadError as error:
        print(error.message)
    (model / "args.json").unlink()

    # And back: every file is verified by its digest.
    copy = repo.download("*.bin", to="copy")
    assert (copy / "shard-2.bin").read_bytes() == (model / "shard-2.bin").read_bytes()
    print("Downloaded and verified:", *sorted(path.name for path in copy.iterdir()))
