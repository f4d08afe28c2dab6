"""A content store in the test's own process, with a clock that stands still."""

from __future__ import annotations

import hashlib
import io
import os
import sys

from small_hub import create_app
from xet_objects import (
    PLAIN,
    file_hash,
    pack_shard,
    pack_xorb,
    random_bytes,
    whole_file,
    xorb_hash,
)

from hfl_localhub._xet import Scope, _hashing

SCOPE = Scope("model", "ann/digits", "write")
CHUNKS = [random_bytes(n, 1000 + n) for n in range(6)]
OTHER = [random_bytes(100 + n, 50 + n) for n in range(4)]
DATA = b"".join(CHUNKS)
SHA256 = hashlib.sha256(DATA).hexdigest()


class Store:
    """A store in this process, with a clock that stands still."""

    def __init__(self, root):
        self.now = 1_800_000_000.0
        self.app = create_app(root, "http://hub.test", clock=lambda: self.now)
        self.service = self.app.state.service
        self.context = self.app.state.context
        self.root = root

    def add_xorb(self, chunks, schemes=(PLAIN,)):
        return self.add_packed(pack_xorb(chunks, schemes), xorb_hash(chunks))

    def add_packed(self, packed, digest):
        temporary = self.context.blobs.new_temporary_path()
        try:
            with temporary.open("w+b") as stream:
                stream.write(packed)
                return self.service.add_xorb(_hashing.to_text(digest), stream, temporary)
        finally:
            if temporary.exists():
                temporary.unlink()

    def add_shard(self, *entries, raw=None):
        shard = pack_shard(*entries) if raw is None else raw
        return self.service.add_shard(io.BytesIO(shard), SCOPE)

    def add_file(self, chunks, sha256=None):
        self.add_xorb(chunks)
        self.add_shard(whole_file(chunks, sha256))
        return _hashing.to_text(file_hash(chunks))

    def read(self, name, start=0, end=None):
        return b"".join(self.service.stream(name, start, end))

    def collect(self, hashes=(), sha256s=(), grace=-1.0):
        self.now = max(path.stat().st_mtime for path in [self.root, *self.root.rglob("*")])
        return self.service.collect_garbage(
            live_xet_hashes=hashes, live_sha256s=sha256s, grace=grace
        )

    def files_on_disk(self):
        return sorted(
            str(path.relative_to(self.root))
            for path in self.root.rglob("*")
            if path.is_file() and path.suffix != ".sqlite" and path.name != "generation"
        )


def dies_at_change(count, action):
    """Run something in a copy of this process; return whether it was killed on the way."""
    child = os.fork()
    if child == 0:
        changes = [0]

        def hook(event, arguments):
            if event in ("open", "os.rename", "os.remove", "os.utime", "os.mkdir"):
                changes[0] += 1
                if changes[0] > count:
                    os._exit(9)

        sys.addaudithook(hook)
        action()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return status != 0
