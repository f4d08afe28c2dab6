"""Compressed saves and loads of bf16 and fp32 weights, beside zstd and ZipNN.

Run it with ``make bench`` or ``python benchmarks/checkpoint_compression.py --mib 512``. Rates are those of
the tensors' own bytes, for a durable save and for a load of the tensors into memory. Peers that are not
installed are left out: ``pip install zstandard zipnn``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import torch

from hfl_checkpoint import CheckpointManager, __version__


def optional(name: str) -> Any:
    """Import a peer, or return None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


def durable(path: Path, pieces: List[Any]) -> None:
    """Write a file and flush it."""
    with path.open("wb", buffering=0) as file:
        for piece in pieces:
            file.write(piece)
        os.fsync(file.fileno())


class Contenders:
    """The ways to save and load the weights; each returns the bytes on disk.

    Args:
        folder: Where they write.
        weights: Name to tensor.
    """

    def __init__(self, folder: Path, weights: Dict[str, torch.Tensor]) -> None:
        self.folder = folder
        self.weights = weights
        self.step = 0
        self.raw = [memoryview(t.view(torch.uint8).numpy()).cast("B") for t in weights.values()]
        self.size = sum(map(len, self.raw))

    def all(self) -> Dict[str, Tuple[Callable[[], int], Callable[[], object]]]:
        """Label to what saves and what loads."""
        found = {}
        for level in (None, "fast", "small"):
            manager = CheckpointManager(
                self.folder / str(level), background=False, compression=level
            )
            found[f"hfl-checkpoint, compression={level!r}"] = (
                lambda manager=manager: self.save(manager),
                lambda manager=manager: self.load(manager),
            )
        zstandard, zipnn = optional("zstandard"), optional("zipnn")
        if zstandard:
            for threads in (0, torch.get_num_threads()):
                found[f"zstd-1, {max(1, threads)} thread(s)"] = (
                    lambda threads=threads: self.pack(
                        zstandard.ZstdCompressor(level=1, threads=threads).compress
                    ),
                    lambda: self.unpack(zstandard.ZstdDecompressor().decompress),
                )
        if zipnn:
            dtype = str(next(iter(self.weights.values())).dtype).split(".")[-1]
            peer = zipnn.ZipNN(bytearray_dtype=dtype, input_format="byte")
            found["ZipNN"] = (
                lambda: self.pack(lambda piece: peer.compress(bytearray(piece))),
                lambda: self.unpack(peer.decompress),
            )
        return found

    def save(self, manager: CheckpointManager) -> int:
        """Save a checkpoint, of weights that are new."""
        self.step += 1
        next(iter(self.weights.values()))[0, 0] += 1
        found = manager.save(self.step, weights=self.weights)
        return found.size  # type: ignore[union-attr]  # it was not saved in the background

    def load(self, manager: CheckpointManager) -> None:
        """Load the newest checkpoint, verified, and touch all of it."""
        for tensor in manager.load()["weights"].values():
            tensor.clone()

    def pack(self, compress: Callable[[Any], Any]) -> int:
        """Compress and write tensor by tensor."""
        packed = [compress(piece) for piece in self.raw]
        durable(self.folder / "peer", packed)
        self.sizes = list(map(len, packed))
        return sum(self.sizes)

    def unpack(self, decompress: Callable[[Any], Any]) -> None:
        """Read and decompress tensor by tensor."""
        with (self.folder / "peer").open("rb") as file:
            for size in self.sizes:
                decompress(file.read(size))


def main() -> None:
    """Measure, and print one table for each type."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=128, help="size of the weights")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="where to write; a temporary one by default")
    options = parser.parse_args()
    if optional("blosc2") is None:
        print("Compression is not installed: pip install 'hfl-checkpoint[compression]'")
        return
    names = ("blosc2", "zstandard", "zipnn")
    versions = [f"{name} {getattr(optional(name), '__version__', 'absent')}" for name in names]
    print(f"hfl-checkpoint {__version__}, torch {torch.__version__}, {', '.join(versions)}")
    print(f"{options.mib} MiB of normal weights (0.02), {torch.get_num_threads()} threads.\n")
    for dtype in (torch.bfloat16, torch.float32):
        folder = Path(tempfile.mkdtemp(dir=options.directory))
        rows = (options.mib << 20) // 8 // 1024 // dtype.itemsize
        weights = {f"w{n}": (torch.randn(rows, 1024) * 0.02).to(dtype) for n in range(8)}
        contenders = Contenders(folder, weights)
        print(dtype)
        try:
            for label, (save, load) in contenders.all().items():
                seconds: Dict[str, List[float]] = {"save": [], "load": []}
                for _ in range(options.rounds):
                    begin = time.perf_counter()
                    size = save()
                    middle = time.perf_counter()
                    load()
                    seconds["save"].append(middle - begin)
                    seconds["load"].append(time.perf_counter() - middle)
                rates = {
                    name: contenders.size / statistics.median(values) / 1e9
                    for name, values in seconds.items()
                }
                print(
                    f"  {label:36} {size / contenders.size:6.3f} of the size"
                    f"   save {rates['save']:5.2f} GB/s   load {rates['load']:5.2f} GB/s"
                )
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
