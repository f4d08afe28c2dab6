"""What changed between two checkpoints: which tensors, and by how much.

Tensors are mapped from the files and compared in pieces, so that memory does not grow with their size.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Literal, Mapping, Sequence, Tuple

import torch

from hfl_checkpoint._reader import read_components

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_checkpoint._manifest import ComponentEntry, Manifest

# Elements compared at a time: eight MiB each in the precision of the arithmetic.
_PIECE = 1 << 20

Kind = Literal["changed", "added", "removed", "replaced"]


@dataclasses.dataclass(frozen=True)
class Change:
    """Something in a component that is not the same in two checkpoints.

    Attributes:
        component: The component.
        item: Where in its state: ``"fc.weight"``, ``"state/fc.weight/exp_avg"``.
        kind: ``"changed"`` in value; ``"replaced"`` by another shape or type; ``"added"``; ``"removed"``.
        before: For what is no tensor, and for what was replaced, what it was.
        after: The same, what it is.
        max_abs: The largest absolute difference, NaN aside.
        rel_l2: The L2 norm of the difference over that of what it was; None where that is 0.
        changed: How many elements differ.
        total: How many there are.
        new_nans: How many elements became NaN.
    """

    component: str
    item: str
    kind: Kind
    before: str | None = None
    after: str | None = None
    max_abs: float | None = None
    rel_l2: float | None = None
    changed: int | None = None
    total: int | None = None
    new_nans: int | None = None


@dataclasses.dataclass(frozen=True)
class Summary:
    """A component in two checkpoints.

    Attributes:
        component: The component.
        kind: ``"same"``, ``"changed"``, ``"added"`` or ``"removed"``.
        items: How many tensors and other values it has, in either.
        differing: How many of them are not the same.
        max_abs: The largest absolute difference of all tensors of equal shapes and types, if any.
        rel_l2: The L2 norm of all differences over that of what was; None where that is 0.
    """

    component: str
    kind: str
    items: int
    differing: int
    max_abs: float | None
    rel_l2: float | None


@dataclasses.dataclass
class _Sums:
    largest: float = 0.0
    squares_of_difference: float = 0.0
    squares_of_before: float = 0.0
    changed: int = 0
    new_nans: int = 0
    tensors: int = 0

    def add(self, other: _Sums) -> None:
        self.largest = max(self.largest, other.largest)
        self.squares_of_difference += other.squares_of_difference
        self.squares_of_before += other.squares_of_before
        self.tensors += 1

    @property
    def relative(self) -> float | None:
        if not self.squares_of_before:
            return None if self.squares_of_difference else 0.0
        return math.sqrt(self.squares_of_difference / self.squares_of_before)


def difference(
    before: Tuple[Path, Manifest],
    after: Tuple[Path, Manifest],
    *,
    only: Sequence[str] = (),
) -> Tuple[List[Summary], List[Change]]:
    """Compare two checkpoints.

    Args:
        before: The directory and the manifest of the one.
        after: The same of the other.
        only: The components to compare; all if empty.

    Returns:
        A summary per component, and everything that is not the same.

    Raises:
        CheckpointDamagedError: A file is malformed.
        UnknownTypeError: A type is not there to be rebuilt.
    """
    ours, theirs = before[1].components, after[1].components
    names = [name for name in dict.fromkeys([*ours, *theirs]) if not only or name in only]
    summaries: List[Summary] = []
    changes: List[Change] = []
    for name in names:
        if name not in ours or name not in theirs:
            kind: Kind = "added" if name in theirs else "removed"
            count = len(_leaves(*(after if name in theirs else before), name))
            summaries.append(Summary(name, kind, count, count, None, None))
            continue
        summary, found = _compare(before, after, name)
        summaries.append(summary)
        changes.extend(found)
    return summaries, changes


def _compare(
    before: Tuple[Path, Manifest], after: Tuple[Path, Manifest], name: str
) -> Tuple[Summary, List[Change]]:
    if _digests(before[1], name) == _digests(after[1], name):
        # The same bytes: nothing has to be read but the names.
        return Summary(name, "same", len(_leaves(*before, name)), 0, 0.0, 0.0), []
    ours, theirs = _leaves(*before, name), _leaves(*after, name)
    paths = list(dict.fromkeys([*ours, *theirs]))
    sums = _Sums()
    changes: List[Change] = []
    for path in paths:
        if path not in ours or path not in theirs:
            kind: Kind = "added" if path in theirs else "removed"
            value = theirs[path] if path in theirs else ours[path]
            text = _describe(value)
            is_new = kind == "added"
            changes.append(
                Change(name, path, kind, None if is_new else text, text if is_new else None)
            )
            continue
        change = _compare_leaf(name, path, ours[path], theirs[path], sums)
        if change is not None:
            changes.append(change)
    kind_of_all = "changed" if changes else "same"
    measured = (sums.largest, sums.relative) if sums.tensors else (None, None)
    return Summary(name, kind_of_all, len(paths), len(changes), *measured), changes


def _digests(manifest: Manifest, name: str) -> Mapping[str, str]:
    entry: ComponentEntry = manifest.components[name]
    known = {file.path: file.xxh3 for file in manifest.files}
    return {path: known.get(path, "") for path in entry.files}


def _compare_leaf(component: str, path: str, one: Any, two: Any, sums: _Sums) -> Change | None:
    if not (isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor)):
        if type(one) is type(two) and _equal(one, two):
            return None
        return Change(component, path, "changed", _describe(one), _describe(two))
    if one.shape != two.shape or one.dtype != two.dtype:
        return Change(component, path, "replaced", _describe(one), _describe(two))
    own = _compare_tensors(one, two)
    sums.add(own)
    if not own.changed:
        return None
    return Change(
        component,
        path,
        "changed",
        max_abs=own.largest,
        rel_l2=own.relative,
        changed=own.changed,
        total=one.numel(),
        new_nans=own.new_nans,
    )


def _compare_tensors(one: torch.Tensor, two: torch.Tensor) -> _Sums:
    sums = _Sums()
    for before, after in zip(_pieces(one), _pieces(two)):
        is_other = before != after
        if before.is_floating_point():
            both_nan = before.isnan() & after.isnan()
            is_other &= ~both_nan
            sums.new_nans += int((after.isnan() & ~before.isnan()).sum())
        sums.changed += int(is_other.sum())
        was = before.to(torch.float64)
        sums.squares_of_before += float(was.nan_to_num(0.0, 0.0, 0.0).square().sum())
        if is_other.any():
            apart = (after.to(torch.float64) - was)[is_other]
            apart = apart[~apart.isnan()].abs()
            if apart.numel():
                sums.largest = max(sums.largest, float(apart.max()))
                sums.squares_of_difference += float(apart.square().sum())
    return sums


def _pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    flat = tensor.detach().reshape(-1)
    for start in range(0, flat.numel(), _PIECE):
        yield _comparable(flat[start : start + _PIECE])


def _comparable(piece: torch.Tensor) -> torch.Tensor:
    """Bring a piece into a type for which torch can compare and subtract; exactly, to 64 bits."""
    if piece.is_complex():
        return torch.view_as_real(piece.resolve_conj()).reshape(-1)
    if piece.dtype in (torch.float64, torch.float32, torch.int64):
        return piece
    if piece.is_floating_point():
        return piece.to(torch.float32)
    if piece.dtype == torch.bool or not piece.dtype.is_signed:
        return _unsigned(piece)
    return piece.to(torch.int64)


def _unsigned(piece: torch.Tensor) -> torch.Tensor:
    # Types of 16 bits and more can do little in older torch; eight bytes are compared as their bits.
    if piece.element_size() == 8:
        return piece.view(torch.int64)
    return piece.to(torch.int64)


def _leaves(directory: Path, manifest: Manifest, name: str) -> Dict[str, Any]:
    count = manifest.components[name].ranks
    found: Dict[str, Any] = {}
    for rank in range(max(1, count)):
        saved = read_components(directory, manifest, [name], rank=rank)[name]
        found.update(_walk(saved.state, f"rank {rank}" if count > 1 else ""))
    return found


def _walk(value: Any, path: str) -> Iterator[Tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, f"{path}/{key}" if path else str(key))
    elif isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}/{index}" if path else str(index))
    else:
        yield path, value


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, float):
        return one == two or (math.isnan(one) and math.isnan(two))
    same = one == two
    return bool(same.all()) if hasattr(same, "all") else bool(same)


def _describe(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).split('.')[-1]}{list(value.shape)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
