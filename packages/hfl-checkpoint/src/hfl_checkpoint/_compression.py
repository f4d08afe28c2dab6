"""Compressed tensors: shuffled and packed by Blosc2, piece by piece, with their sizes kept beside them.

A file of compressed tensors is nothing but Blosc2 chunks, one after the other; which chunks make which
tensor stands in the component's JSON. So no size in the file itself is believed: each chunk has to say
what the JSON says, and the JSON what the manifest says.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import importlib.util
import math
import struct
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, Iterator, List, Mapping

import numpy as np
import torch

from hfl_checkpoint._tensors import DTYPE_NAMES, bytes_of, dtype_of, file_order
from hfl_checkpoint.errors import CheckpointDamagedError
from hfl_core import ConfigError, MissingExtraError, new_digest

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_core import Digest, FileWriter

METHOD = "blosc2"
LEVELS = ("fast", "small")

# Large enough for a good ratio, small enough that every core has one and little waits in memory.
_CHUNK_BYTES = 4 << 20

# The part of a chunk that is shuffled at once. Measured on bf16 weights, per core: LZ4 packs 2 GB/s
# whatever it is; zstd gets from 0.690 at 0.44 GB/s (64 KiB) to 0.684 at 0.50 GB/s.
_BLOCK_BYTES = {"fast": 256 << 10, "small": 2 << 20}

# https://github.com/Blosc/c-blosc2/blob/main/README_CHUNK_FORMAT.rst: a chunk's size before and after.
_CHUNK_HEADER = struct.Struct("<4xi4xi16x")


@dataclasses.dataclass(frozen=True)
class Packing:
    """A file of compressed tensors, as it is described in its component's JSON.

    Attributes:
        level: ``"fast"`` or ``"small"``.
        chunk: Bytes of a tensor in a chunk; the last one of a tensor has less.
        tensors: Key to ``{"dtype", "shape", "chunks", "xxh3"}`` in the order of the file: the type, the
            shape, the bytes of each chunk, and the digest of all chunks.
    """

    level: str
    chunk: int
    tensors: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> Dict[str, Any]:
        """The packing in the form in which it is stored."""
        return {
            "method": METHOD,
            "level": self.level,
            "chunk": self.chunk,
            "tensors": [{"key": key, **entry} for key, entry in self.tensors.items()],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Packing:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is not that.
        """
        if document["method"] != METHOD:
            raise ValueError(f"tensors are compressed by {document['method']!r}")
        tensors = {
            str(entry["key"]): {name: entry[name] for name in ("dtype", "shape", "chunks", "xxh3")}
            for entry in document["tensors"]
        }
        sizes = [size for entry in tensors.values() for size in [*entry["shape"], *entry["chunks"]]]
        if not all(isinstance(size, int) and size >= 0 for size in [*sizes, document["chunk"] - 1]):
            raise ValueError("a size is not a number")
        return cls(document["level"], document["chunk"], tensors)

    def describes(self, tensors: Mapping[str, torch.Tensor], level: str | None) -> bool:
        """Whether the file is one of such tensors at such a level, whatever their values are."""
        return (
            self.level == level
            and self.chunk == _CHUNK_BYTES
            and list(self.tensors) == file_order(tensors)
            and all(
                (entry["dtype"], entry["shape"])
                == (DTYPE_NAMES[tensors[key].dtype], list(tensors[key].shape))
                for key, entry in self.tensors.items()
            )
        )

    @property
    def content_size(self) -> int:
        """Bytes of the tensors when they are not compressed."""
        return sum(
            math.prod(entry["shape"]) * dtype_of(entry["dtype"]).itemsize
            for entry in self.tensors.values()
        )

    def spans(self) -> Dict[str, slice]:
        """Key to the place of a tensor's chunks in the file."""
        found, position = {}, 0
        for key, entry in self.tensors.items():
            end = position + sum(entry["chunks"])
            found[key] = slice(position, end)
            position = end
        return found


def check_levels(compression: Mapping[str, str | None] | str | None) -> Dict[str, str] | str | None:
    """Refuse what is not a level of compression, or cannot be had here.

    Args:
        compression: None, a level, or component to level.

    Returns:
        The same, without the components that are not compressed.

    Raises:
        ConfigError: There is no such level.
        MissingExtraError: Blosc2 is not installed.
    """
    levels = compression if isinstance(compression, Mapping) else {"": compression}
    for level in levels.values():
        if level is not None and level not in LEVELS:
            raise ConfigError(
                f"There is no compression {level!r}.",
                hint="Use 'fast', 'small' or None, or a dict of them by component.",
            )
    wanted = {name: level for name, level in levels.items() if level is not None}
    if wanted:
        require_blosc2()
    return wanted if isinstance(compression, Mapping) else wanted.get("")


def require_blosc2() -> None:
    """Refuse to go on without Blosc2.

    Raises:
        MissingExtraError: It is not installed.
    """
    if importlib.util.find_spec(METHOD) is None:
        too_old = sys.version_info < (3, 9)
        feature = "compression (by Blosc2, for Python 3.9 and newer)" if too_old else "compression"
        raise MissingExtraError(feature, extra="hfl-checkpoint[compression]")


def write_compressed(
    writer: FileWriter, stored: Mapping[str, torch.Tensor], level: str, digest: Digest
) -> tuple[Packing, Dict[str, str]]:
    """Write tensors compressed.

    Args:
        writer: The new file.
        stored: Key to tensor, as `pack` returns them; on any device.
        level: ``"fast"`` or ``"small"``.
        digest: Updated with every byte of the file.

    Returns:
        What is where in the file, and key to the digest of the tensor's own bytes.
    """
    tensors: Dict[str, Dict[str, Any]] = {}
    contents: Dict[str, str] = {}
    with _Workers() as workers:
        for key in file_order(stored):
            tensor = stored[key]
            own, content = new_digest(), new_digest()
            sizes: List[int] = []
            raw = memoryview(bytes_of(tensor))
            pieces = [raw[at : at + _CHUNK_BYTES] for at in range(0, len(raw), _CHUNK_BYTES)]
            settings = _settings(level, tensor.element_size())
            for piece, packed in zip(pieces, workers.map(_compressor(settings), pieces)):
                content.update(piece)
                writer.write(packed, digest, own)
                sizes.append(len(packed))
            tensors[key] = {
                "dtype": DTYPE_NAMES[tensor.dtype],
                "shape": list(tensor.shape),
                "chunks": sizes,
                "xxh3": own.hexdigest(),
            }
            contents[key] = content.hexdigest()
    return Packing(level, _CHUNK_BYTES, tensors), contents


def read_compressed(
    path: Path, packing: Packing, contents: Mapping[str, str], *, checkpoint: str
) -> Dict[str, torch.Tensor]:
    """Read tensors that `write_compressed` wrote.

    Args:
        path: The file.
        packing: What is where in it.
        contents: Key to the digest of the tensor's own bytes.
        checkpoint: The checkpoint's name, for messages.

    Returns:
        Key to tensor, in memory of its own.

    Raises:
        CheckpointDamagedError: The file is not what it was; the message names the tensor.
        MissingExtraError: Blosc2 is not installed.
    """
    require_blosc2()
    import blosc2

    def decompress(job: tuple[bytes, Any]) -> None:
        chunk, target = job
        sizes = _CHUNK_HEADER.unpack_from(chunk)
        _require(sizes == (len(target), len(chunk)), "a chunk of another size than was written")
        blosc2.decompress2(chunk, dst=target, nthreads=1)

    spans = packing.spans().values()
    _require(
        path.stat().st_size == max((span.stop for span in spans), default=0),
        f"{path.name} has another size than its chunks",
    )
    tensors: Dict[str, torch.Tensor] = {}
    with path.open("rb", buffering=0) as file, _Workers() as workers:
        for key, entry in packing.tensors.items():
            tensor = torch.empty(entry["shape"], dtype=dtype_of(entry["dtype"]))
            raw: Any = np.asarray(memoryview(bytes_of(tensor)))
            targets = [raw[at : at + packing.chunk] for at in range(0, len(raw), packing.chunk)]
            chunks = (_exactly(file, size) for size in entry["chunks"])
            try:
                _require(len(targets) == len(entry["chunks"]), "too many or too few chunks")
                for _ in workers.map(decompress, zip(chunks, targets)):
                    pass
                digest = new_digest()
                digest.update(raw)
                _require(
                    digest.hexdigest() == contents[key],
                    "it does not have the content that was written",
                )
            except (ValueError, RuntimeError, struct.error) as error:
                raise CheckpointDamagedError(
                    checkpoint,
                    [f"{path.name} (tensor {key!r}) cannot be decompressed ({error})"],
                ) from error
            tensors[key] = tensor
    return tensors


def _exactly(file: Any, size: int) -> bytes:
    chunk: bytes = file.read(size)
    _require(len(chunk) == size >= _CHUNK_HEADER.size, "the file ends too early")
    return chunk


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)


def _settings(level: str, itemsize: int) -> Dict[str, Any]:
    import blosc2

    if level == "fast":
        codec, effort, shuffle = blosc2.Codec.LZ4, 5, blosc2.Filter.BITSHUFFLE
    else:
        codec, effort, shuffle = blosc2.Codec.ZSTD, 1, blosc2.Filter.SHUFFLE
    return {
        "codec": codec,
        "clevel": effort,
        "filters": [*[blosc2.Filter.NOFILTER] * 5, shuffle],
        "filters_meta": [0] * 6,
        "typesize": itemsize,
        # Left to itself, Blosc2 goes by the processor's caches; and with threads of its own, by their
        # number. The same tensors have to give the same bytes everywhere.
        "blocksize": _BLOCK_BYTES[level],
        "nthreads": 1,
    }


def _compressor(settings: Mapping[str, Any]) -> Callable[[Any], bytes]:
    import blosc2

    def compress(piece: Any) -> bytes:
        packed: bytes = blosc2.compress2(np.frombuffer(piece, np.uint8), **settings)
        return packed

    return compress


class _Workers:
    """As many threads as there are cores, which let training go on: Blosc2 gives the interpreter free."""

    def __enter__(self) -> _Workers:
        import blosc2

        self._count = torch.get_num_threads()
        self._gave_free = blosc2.set_releasegil(True)
        self._pool = concurrent.futures.ThreadPoolExecutor(self._count, "hfl-compression")
        return self

    def __exit__(self, *_: object) -> None:
        import blosc2

        self._pool.shutdown(wait=True)
        blosc2.set_releasegil(self._gave_free)

    def map(self, function: Callable[[Any], Any], jobs: Any) -> Iterator[Any]:
        """Yield the results in order; only as many jobs are begun as keep all threads busy."""
        waiting: Deque[concurrent.futures.Future[Any]] = deque()
        for job in jobs:
            waiting.append(self._pool.submit(function, job))
            if len(waiting) > 2 * self._count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
