"""The table of a model's modules: what owns parameters, like things together."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, NamedTuple, Set, Tuple

from hfl_metadata._facts import ModuleInfo

_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")  # a part of a name that is a number


class _Row(NamedTuple):
    name: str
    type: str
    parameters: int
    trainable: int
    dtype: str


def table_of(model: Any) -> List[ModuleInfo]:
    """Make the table.

    Args:
        model: Something with ``named_modules()``, whose modules have ``named_parameters``.

    Returns:
        A row for every module that owns parameters, in the model's order; those that differ in
        nothing but a number in their name share one.
    """
    if not callable(getattr(model, "named_modules", None)):
        return []
    groups: Dict[Tuple[Any, ...], List[_Row]] = {}
    for row in _rows(model):
        key = (_NUMBER.sub("*", row.name), *row[1:])
        groups.setdefault(key, []).append(row)
    return [
        ModuleInfo(
            name=_common_name([row.name for row in rows]),
            type=rows[0].type,
            count=len(rows),
            parameters=sum(row.parameters for row in rows),
            trainable_parameters=sum(row.trainable for row in rows),
            dtype=rows[0].dtype,
        )
        for rows in groups.values()
    ]


def elements(parameter: Any) -> int:
    """Count the elements of a parameter, those on other machines too (DeepSpeed's ZeRO 3).

    Args:
        parameter: A parameter.

    Returns:
        How many.

    Raises:
        RuntimeError: It has no shape yet.
        ValueError: The same, on other versions of torch.
    """
    whole = getattr(parameter, "ds_numel", None)
    return int(parameter.numel() if whole is None else whole)


def short_dtype(dtype: Any) -> str:
    """Name a data type: ``"bfloat16"``.

    Args:
        dtype: A ``torch.dtype``.

    Returns:
        Its name.
    """
    return str(dtype).replace("torch.", "")


def _rows(model: Any) -> Iterator[_Row]:
    seen: Set[int] = set()
    for name, module in model.named_modules():
        total = trainable = 0
        dtypes = set()
        owns = False
        for parameter in module.parameters(recurse=False):
            owns = True
            dtypes.add(short_dtype(parameter.dtype))
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            try:
                count = elements(parameter)
            except (RuntimeError, ValueError):  # without a shape yet
                continue
            total += count
            trainable += count if parameter.requires_grad else 0
        if owns:
            yield _Row(name, type(module).__name__, total, trainable, ",".join(sorted(dtypes)))


def _common_name(names: List[str]) -> str:
    if len(names) == 1:
        return names[0]
    numbers = [[int(found) for found in _NUMBER.findall(name)] for name in names]
    varying = [place for place, column in enumerate(zip(*numbers)) if len(set(column)) > 1]
    places = iter(range(len(numbers[0])))

    def replaced(match: re.Match[str]) -> str:
        place = next(places)
        if place not in varying:
            return match.group()
        return f"{{{_ranges(sorted(row[place] for row in numbers))}}}" if len(varying) == 1 else "*"

    return _NUMBER.sub(replaced, names[0])


def _ranges(numbers: List[int]) -> str:
    parts: List[List[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)
