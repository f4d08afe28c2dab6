"""How a component's tensors lie in a safetensors file: each stretch of memory once.

Tensors that share memory (tied weights, views, overlapping slices) are written once; a layout beside
the file says how the others are made from what was written. It also keeps what the file format has no
word for: strides, and data types that its older readers do not know.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Tuple

import torch
from safetensors import safe_open

from hfl_checkpoint.errors import UnknownTypeError
from hfl_core import new_digest

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_core import Digest, FileWriter

Layout = Dict[str, Dict[str, Any]]

# The data types that every supported release of safetensors reads, with the format's names.
DTYPE_NAMES = {
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int16: "I16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}

# Complex numbers are written as pairs of numbers, and the others as a type of the same size; the
# layout keeps their name.
_PAIRS = (torch.complex64, torch.complex128)
_STAND_INS = {2: torch.int16, 4: torch.int32, 8: torch.int64, 1: torch.uint8}


@dataclasses.dataclass(frozen=True)
class Packed:
    """What is written for a set of tensors.

    Attributes:
        stored: Key to the tensor that is written under it; no two share memory.
        layout: Key to how the tensor is made, for those that are not written as they are.
    """

    stored: Dict[str, torch.Tensor]
    layout: Layout


def pack(tensors: Mapping[str, torch.Tensor], *, name: str) -> Packed:
    """Decide what is written for a set of tensors that may share memory.

    Args:
        tensors: Key to tensor.
        name: The component's name, for messages.

    Returns:
        The tensors to write, none of which overlap, and the layout of the rest.

    Raises:
        UnknownTypeError: Tensors overlap in a way that cannot be described, or a data type is unknown.
    """
    packed = Packed({}, {})
    for cluster in _clusters(tensors):
        if len(cluster) == 1 and not _repeats(tensors[cluster[0]]):
            _store(packed, cluster[0], tensors[cluster[0]], name)
        else:
            _store_shared(packed, cluster, tensors, name)
    return packed


def unpack(stored: Mapping[str, torch.Tensor], layout: Layout) -> Dict[str, torch.Tensor]:
    """Rebuild the tensors that `pack` was given, sharing memory as they did.

    Args:
        stored: What was read from the files.
        layout: The layout that was written beside them.

    Returns:
        Key to tensor. They refer to the memory of `stored` wherever no stride has to be restored.

    Raises:
        KeyError: A tensor that the layout refers to is missing.
    """
    bases = {key: _as_it_was(value, layout.get(key, {})) for key, value in stored.items()}
    tensors = {key: value for key, value in bases.items() if "hidden" not in layout.get(key, {})}
    for key, entry in layout.items():
        if "of" not in entry:
            continue
        base = bases[entry["of"]]
        if "shape" in entry:
            offset = base.storage_offset() + entry["offset"]
            tensors[key] = base.as_strided(entry["shape"], entry["stride"], offset)
        else:
            tensors[key] = base
    return tensors


def header_of(tensors: Mapping[str, torch.Tensor]) -> Tuple[List[str], bytes]:
    """Describe a safetensors file, as it stands at the beginning of that file.

    It depends on names, types and shapes alone: nothing volatile is in it.

    Args:
        tensors: Key to tensor, as `pack` returns them.

    Returns:
        The keys in the order of the file, and the header's bytes.
    """
    order = file_order(tensors)
    header: Dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for key in order:
        size = byte_size(tensors[key])
        header[key] = {
            "dtype": DTYPE_NAMES[tensors[key].dtype],
            "shape": list(tensors[key].shape),
            "data_offsets": [position, position + size],
        }
        position += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format wants tensors aligned to eight bytes
    return order, len(text).to_bytes(8, "little") + text


def file_order(tensors: Mapping[str, torch.Tensor]) -> List[str]:
    """The order in which tensors lie in a file: it depends on their names and types alone."""
    return sorted(tensors, key=lambda key: (-tensors[key].element_size(), key))


def byte_size(tensor: torch.Tensor) -> int:
    """The bytes of a tensor's elements."""
    return tensor.numel() * tensor.element_size()


def write_tensors(
    writer: FileWriter, stored: Mapping[str, torch.Tensor], digest: Digest
) -> Dict[str, str]:
    """Stream tensors into a safetensors file, hashing in the same pass.

    Args:
        writer: The new file.
        stored: Key to tensor, as `pack` returns them; on any device.
        digest: Updated with every byte of the file.

    Returns:
        Key to the xxh3-128 digest of the tensor's bytes.
    """
    order, header = header_of(stored)
    writer.write(header, digest)
    digests = {}
    for key in order:
        own = new_digest()
        # One tensor at a time: the copy that a strided or remote one needs is gone before the next.
        writer.write(bytes_of(stored[key]), digest, own)
        digests[key] = own.hexdigest()
    return digests


def read_tensors(path: Path) -> Dict[str, torch.Tensor]:
    """Map the tensors of a safetensors file into memory.

    Args:
        path: The file; it must not change while the tensors are in use.

    Returns:
        Key to tensor. Nothing is read before it is used; writing to one does not reach the file.
    """
    # The reader of each library version maps lazily, and checks the header against the file's size.
    with safe_open(str(path), framework="pt", device="cpu") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dict


def dtype_of(name: str) -> torch.dtype:
    """Return torch's data type of a name of the safetensors format.

    Raises:
        ValueError: There is none.
    """
    for dtype, known in DTYPE_NAMES.items():
        if known == name:
            return dtype
    raise ValueError(f"{name!r} is not a data type of the format")


def dtype_named(name: str) -> torch.dtype:
    """Return torch's data type of a name.

    Raises:
        TypeError: There is none.
    """
    # Not by getattr, which imports parts of torch that load lazily.
    found = vars(torch).get(name)
    if not isinstance(found, torch.dtype):
        raise TypeError(f"{name!r} is not a data type of torch")
    return found


def _clusters(tensors: Mapping[str, torch.Tensor]) -> List[List[str]]:
    """Group keys whose memory overlaps; order follows the first key of each group."""
    spans: Dict[Tuple[torch.device, int], List[Tuple[int, int, str]]] = {}
    clusters: Dict[str, List[str]] = {}
    for key, tensor in tensors.items():
        if tensor.numel() == 0:
            clusters[key] = [key]
            continue
        # On the host NumPy may have made several storages of one memory; elsewhere an address need
        # not be a place in memory.
        on_host = tensor.device.type == "cpu"
        place = (tensor.device, 0 if on_host else tensor.untyped_storage().data_ptr())
        start = tensor.data_ptr()
        spans.setdefault(place, []).append((start, start + _extent(tensor), key))
    for members in spans.values():
        members.sort(key=lambda member: member[:2])
        current: List[str] = []
        reach = -1
        for start, end, key in members:
            if start >= reach:
                current = clusters.setdefault(key, [])
            current.append(key)
            reach = max(reach, end)
    position = {key: index for index, key in enumerate(tensors)}
    ordered = [sorted(cluster, key=position.__getitem__) for cluster in clusters.values()]
    return sorted(ordered, key=lambda cluster: position[cluster[0]])


def _extent(tensor: torch.Tensor) -> int:
    """Bytes from the first element to behind the last one."""
    if tensor.is_contiguous():  # nearly all are, and there may be a hundred thousand
        return tensor.numel() * tensor.element_size()
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride()))
    return int((last + 1) * tensor.element_size())


def _repeats(tensor: torch.Tensor) -> bool:
    """Whether several elements are the same memory, as after `expand`."""
    if tensor.is_contiguous():
        return False
    expanded = any(size > 1 and step == 0 for size, step in zip(tensor.shape, tensor.stride()))
    return expanded or _extent(tensor) < tensor.numel() * tensor.element_size()


def _is_dense(tensor: torch.Tensor) -> bool:
    """Whether a tensor's elements fill its memory, each once, in whatever order."""
    expected = 1
    for step, size in sorted(zip(tensor.stride(), tensor.shape)):
        if size != 1:
            if step != expected:
                return False
            expected *= size
    return True


def _store(packed: Packed, key: str, tensor: torch.Tensor, name: str) -> None:
    entry: Dict[str, Any] = {}
    # Strides matter where the elements fill their memory (channels last); a slice is written compactly.
    if not tensor.is_contiguous() and _is_dense(tensor):
        entry["stride"] = list(tensor.stride())
    if tensor.dtype not in DTYPE_NAMES:
        entry["dtype"] = str(tensor.dtype).split(".")[-1]
        if tensor.dtype in _PAIRS:
            tensor = torch.view_as_real(tensor)
        elif tensor.element_size() in _STAND_INS:
            tensor = tensor.view(_STAND_INS[tensor.element_size()])
        if tensor.dtype not in DTYPE_NAMES:
            raise UnknownTypeError(f"{name}[{key!r}]", f"a tensor of {entry['dtype']}")
    packed.stored[key] = tensor
    if entry:
        packed.layout[key] = entry


def _store_shared(
    packed: Packed, cluster: Sequence[str], tensors: Mapping[str, torch.Tensor], name: str
) -> None:
    first = tensors[cluster[0]]
    for key in cluster[1:]:
        if tensors[key].dtype != first.dtype:
            raise UnknownTypeError(
                f"{name}[{key!r}]",
                f"a {tensors[key].dtype} tensor on the memory of {cluster[0]!r}, a {first.dtype} one",
                hint="Clone one of the two before saving.",
            )
    start = min(tensors[key].data_ptr() for key in cluster)
    size = first.element_size()
    length = max(tensors[key].data_ptr() + _extent(tensors[key]) for key in cluster) - start
    covering = [
        key for key in cluster if _is_dense(tensors[key]) and tensors[key].numel() * size == length
    ]
    if covering:
        base, memory = covering[0], tensors[covering[0]]
        _store(packed, base, memory, name)
    else:
        base, memory = f"{cluster[0]}~memory", _memory(cluster, tensors, start, length, name)
        _store(packed, base, memory, name)
        packed.layout.setdefault(base, {})["hidden"] = True
    for key in cluster:
        if key == base:
            continue
        tensor = tensors[key]
        entry: Dict[str, Any] = {"of": base}
        if not covering or (tensor.shape, tensor.stride()) != (memory.shape, memory.stride()):
            entry["shape"] = list(tensor.shape)
            entry["stride"] = list(tensor.stride())
            entry["offset"] = (tensor.data_ptr() - start) // size
        packed.layout[key] = entry


def _memory(
    cluster: Sequence[str], tensors: Mapping[str, torch.Tensor], start: int, length: int, name: str
) -> torch.Tensor:
    """A tensor of all the memory on which a group of tensors lies."""
    for key in cluster:
        tensor = tensors[key]
        storage = tensor.untyped_storage()
        size, offset = tensor.element_size(), start - storage.data_ptr()
        places = [tensors[other].data_ptr() - start for other in cluster]
        if 0 <= offset <= storage.nbytes() - length and not any(
            p % size for p in [offset, *places]
        ):
            return tensor.as_strided((length // size,), (1,), offset // size)
    raise UnknownTypeError(
        f"{name}[{cluster[0]!r}]",
        f"a tensor that overlaps {', '.join(map(repr, cluster[1:]))} without sharing its storage",
        hint="Clone the tensors before saving.",
    )


def _as_it_was(stored: torch.Tensor, entry: Mapping[str, Any]) -> torch.Tensor:
    tensor = stored
    dtype = dtype_named(entry["dtype"]) if "dtype" in entry else tensor.dtype
    if dtype in _PAIRS:
        # Within a file that is mapped as a whole, a pair may begin at an odd place.
        is_even = tensor.storage_offset() % 2 == 0
        tensor = torch.view_as_complex(tensor if is_even else tensor.clone())
    if "stride" in entry:
        strided = torch.empty_strided(
            tensor.shape, entry["stride"], dtype=tensor.dtype, device=tensor.device
        )
        tensor = strided.copy_(tensor)
    return tensor if tensor.dtype == dtype else tensor.view(dtype)


def bytes_of(tensor: torch.Tensor) -> Any:
    """The bytes of a tensor's elements, in their order; a copy only where they lie otherwise."""
    # A lone element may have any stride, and would keep it in a reshape.
    flat = tensor.cpu().contiguous().as_strided((tensor.numel(),), (1,))
    if flat.numel() == 0:
        return b""
    raw: Any = flat.view(torch.uint8).numpy()
    return memoryview(raw)
