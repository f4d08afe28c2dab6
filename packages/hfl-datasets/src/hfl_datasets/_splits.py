"""Divide rows into splits: at random, stratified, by group or by time; and rename splits."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Union

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hfl_core import ConfigError
from hfl_datasets._sources._model import Located, Report, Source, SplitSource
from hfl_datasets._sources._open import open_source
from hfl_datasets._validate._fingerprints import column_hash
from hfl_datasets._validate._names import better_split_name, split_name_problem
from hfl_datasets.errors import SplitNotFoundError

__all__ = ["create_splits", "open_configs", "rename_splits"]

Size = Union[int, float]


def create_splits(
    source: Any,
    sizes: Mapping[str, Size],
    *,
    seed: int = 0,
    stratify: Optional[str] = None,
    group: Optional[str] = None,
    time: Optional[str] = None,
    **options: Any,
) -> Source:
    """Divide the rows of a source into splits; the same seed gives the same splits, on every machine.

    The rows are read once to decide, and again whenever a split is read; in memory are the values of the one column
    that decides and a byte for each row.

    Args:
        source: Anything that `open_source` takes. Rows of all of its splits are taken together.
        sizes: The splits' names, with fractions that add up to 1 or with numbers of rows that add up to all.
        seed: What the dice start from.
        stratify: A column whose values every split gets in the same proportions.
        group: A column whose equal values stay together, so that no patient or document is in two splits.
        time: A column by which rows are ordered; the first split gets the earliest, and equal times stay together.
        options: How files are read; see `open_source`.

    Returns:
        A source with these splits; rows keep their order.

    Raises:
        ConfigError: The sizes do not add up, a name cannot be loaded, there is no such column, more than one column
            was named to divide by, or a split would be empty.

    Example:
        >>> rows = [{"text": str(n), "label": n % 2} for n in range(10)]
        >>> divided = create_splits(rows, {"train": 0.8, "test": 0.2}, stratify="label")
        >>> [sum(batch.num_rows for batch in split.batches()) for split in divided]
        [8, 2]
    """
    names = _checked_names(sizes)
    if sum(item is not None for item in (stratify, group, time)) > 1:
        raise ConfigError(
            "Rows can be divided by one column only.", hint="Pass one of stratify, group and time."
        )
    opened = open_source(source, **options)
    column = stratify or group or time
    keys, counts = _keys(opened, column)
    total = sum(counts)
    wanted = _row_counts(sizes, total)
    dice = np.random.Generator(np.random.PCG64(seed))
    if stratify is not None:
        parts = _stratified(_codes(keys), sizes, wanted, dice)
    elif group is not None:
        parts = _grouped(_codes(keys), wanted, dice)
    elif time is not None:
        parts = _by_time(pa.chunked_array(keys) if keys else pa.chunked_array([[]]), wanted, time)
    else:
        parts = _at_random(total, wanted, dice)
    for number, name in enumerate(names):
        if not bool((parts == number).any()):
            raise ConfigError(
                f"Split {name!r} would have no row: there are {total:,} rows"
                + (
                    f" with {len(np.unique(_codes(keys))):,} values of {column!r}."
                    if column
                    else "."
                ),
                hint="Ask for a larger part, or for fewer splits.",
            )
    return Source(opened.name, _views(opened, counts, parts, names))


def rename_splits(source: Any, names: Mapping[str, str], **options: Any) -> Source:
    """Give splits other names.

    Args:
        source: Anything that `open_source` takes.
        names: Old name to new name; the others stay as they are.
        options: How files are read; see `open_source`.

    Returns:
        A source with the new names, in the same order.

    Raises:
        SplitNotFoundError: There is no split of an old name.
        ConfigError: A new name cannot be loaded, or is taken.

    Example:
        >>> list(rename_splits({"a-b": [{"x": 1}]}, {"a-b": "validation"}).splits)
        ['validation']
    """
    opened = open_source(source, **options)
    for old in names:
        if old not in opened.splits:
            raise SplitNotFoundError(old, available=list(opened.splits))
    renamed: Dict[str, SplitSource] = {}
    for split in opened:
        name = names.get(split.name, split.name)
        if split.name in names:
            _checked_names([name])
        if name in renamed:
            raise ConfigError(
                f"Two splits would be called {name!r}.", hint="Give each a name of its own."
            )
        renamed[name] = SplitSource(name, split.files, split.features)
    return Source(opened.name, renamed)


def open_configs(sources: Mapping[str, Any], **options: Any) -> Dict[str, Source]:
    """Open several configurations of one dataset, such as one for each language.

    Args:
        sources: Name of a configuration to anything that `open_source` takes.
        options: How files are read; see `open_source`.

    Returns:
        Name to source. Each is uploaded with ``config=name``.

    Raises:
        ConfigError: A name cannot be used on a Hub.

    Example:
        >>> configs = open_configs({"en": [{"text": "one"}], "de": {"test": [{"text": "eins"}]}})
        >>> {name: list(source.splits) for name, source in configs.items()}
        {'en': ['train'], 'de': ['test']}
    """
    for name in sources:
        if not name or any(mark in '<>:/\\|?*"' or mark.isspace() for mark in name):
            raise ConfigError(
                f"A configuration cannot be called {name!r}.",
                hint="Use letters, digits, dots, dashes and underscores.",
            )
    return {name: open_source(source, **options) for name, source in sources.items()}


def _checked_names(names: Sequence[str] | Mapping[str, Size]) -> List[str]:
    if not names:
        raise ConfigError(
            "No split is named.", hint="Pass sizes such as {'train': 0.9, 'test': 0.1}."
        )
    for name in names:
        problem = split_name_problem(name)
        if problem is not None:
            raise ConfigError(
                f"A split cannot be called {name!r}: {problem}.",
                hint=f"Call it {better_split_name(name)!r}.",
            )
    return list(names)


def _row_counts(sizes: Mapping[str, Size], total: int) -> List[int]:
    values = list(sizes.values())
    if any(isinstance(value, bool) or value <= 0 for value in values):
        raise ConfigError(
            "Every split needs a size above 0.", hint="Pass fractions or numbers of rows."
        )
    if all(isinstance(value, int) for value in values):
        if sum(values) != total:
            raise ConfigError(
                f"The sizes add up to {sum(values):,}; there are {total:,} rows.",
                hint="Pass fractions, or numbers that add up.",
            )
        return [int(value) for value in values]
    if abs(sum(values) - 1) > 1e-6:
        raise ConfigError(
            f"The fractions add up to {sum(values):g}, not to 1.",
            hint="Pass fractions that add up to 1.",
        )
    return _shares(total, [float(value) for value in values])


def _shares(total: int, fractions: Sequence[float]) -> List[int]:
    """Divide a number; what is left over goes to the largest remainders."""
    exact = [total * fraction for fraction in fractions]
    counts = [int(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda n: (counts[n] - exact[n], n))
    for number in by_remainder[: total - sum(counts)]:
        counts[number] += 1
    return counts


def _keys(source: Source, column: Optional[str]) -> tuple[List[pa.Array], List[int]]:
    keys: List[pa.Array] = []
    counts: List[int] = []
    for split in source:
        names = split.schema.names
        if column is not None and column not in names:
            raise ConfigError(
                f"There is no column {column!r} in split {split.name!r}.",
                hint=f"The columns are: {', '.join(names[:20])}.",
            )
        count = 0
        for batch in split.batches():
            count += batch.num_rows
            if column is not None:
                keys.append(batch.column(batch.schema.get_field_index(column)))
        counts.append(count)
    return keys, counts


def _codes(keys: Sequence[pa.Array]) -> Any:
    hashes = [column_hash(key) for key in keys]
    joined = np.concatenate([*hashes, np.zeros(0, dtype=np.uint64)])
    # Numbered in the order of their first row, so that nothing depends on how a hash sorts.
    _, first, inverse = np.unique(joined, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse.reshape(-1)]


def _at_random(total: int, wanted: Sequence[int], dice: Any) -> Any:
    parts = np.repeat(np.arange(len(wanted), dtype=np.int8), wanted)
    dice.shuffle(parts)
    return parts if len(parts) == total else np.resize(parts, total)


def _stratified(codes: Any, sizes: Mapping[str, Size], wanted: Sequence[int], dice: Any) -> Any:
    total = len(codes)
    fractions = [count / max(1, total) for count in wanted]
    parts = np.zeros(total, dtype=np.int8)
    # What rounding takes from a split in one class, it gets back in the next.
    owed = [0.0] * len(sizes)
    for code in range(int(codes.max()) + 1 if total else 0):
        rows = np.flatnonzero(codes == code)
        dice.shuffle(rows)
        exact = [len(rows) * fraction + debt for fraction, debt in zip(fractions, owed)]
        counts = [max(0, int(value + 1e-9)) for value in exact]
        while sum(counts) > len(rows):
            counts[counts.index(max(counts))] -= 1
        by_debt = sorted(range(len(exact)), key=lambda n: (counts[n] - exact[n], n))
        for number in by_debt * ((len(rows) - sum(counts)) // len(exact) + 1):
            if sum(counts) < len(rows):
                counts[number] += 1
        owed = [value - count for value, count in zip(exact, counts)]
        parts[rows] = np.repeat(np.arange(len(counts), dtype=np.int8), counts)
    return parts


def _grouped(codes: Any, wanted: Sequence[int], dice: Any) -> Any:
    sizes = np.bincount(codes)
    order = np.arange(len(sizes))
    dice.shuffle(order)
    # The large ones first, each to the split that lacks most: what is left over can then be evened out.
    order = order[np.argsort(-sizes[order], kind="stable")]
    lacking = np.array(wanted, dtype=np.float64)
    home = np.zeros(len(sizes), dtype=np.int8)
    for code in order:
        fits = np.flatnonzero(lacking >= sizes[code])
        if len(fits):
            chances = lacking[fits] / lacking[fits].sum()
            best = int(dice.choice(fits, p=chances))
        else:
            best = int(np.argmax(lacking))
        home[code] = best
        lacking[best] -= sizes[code]
    return home[codes]


def _by_time(values: pa.ChunkedArray, wanted: Sequence[int], column: str) -> Any:
    if values.null_count:
        raise ConfigError(
            f"{values.null_count:,} rows have no value of {column!r}.",
            hint="Drop them, or fill them in.",
        )
    order = np.asarray(pc.sort_indices(values))
    ordered = values.take(pa.array(order))
    parts = np.zeros(len(values), dtype=np.int8)
    start = 0
    for number, end in enumerate(np.cumsum(wanted)):
        stop = max(start, int(end))
        # Rows of the same moment stay together.
        while 0 < stop < len(values) and ordered[stop].equals(ordered[stop - 1]):
            stop += 1
        parts[order[start:stop]] = number
        start = stop
    return parts


class _View:
    """The rows of a split that were given to another one."""

    def __init__(self, split: SplitSource, parts: Any, number: int) -> None:
        self.name = ", ".join(file.name for file in split.files[:2])
        self.format = split.files[0].format if split.files else "table"
        self._split = split
        self._parts = parts
        self._number = number

    def size(self) -> Optional[int]:
        return None

    def schema(
        self,
        report: Optional[Report] = None,  # noqa: ARG002  # the interface's
    ) -> pa.Schema:
        return self._split.schema

    def read(
        self,
        schema: Optional[pa.Schema] = None,  # noqa: ARG002  # the interface's
        report: Optional[Report] = None,
    ) -> Iterator[Located]:
        start = 0
        for located in self._split.located(report):
            end = start + located.batch.num_rows
            rows = np.flatnonzero(self._parts[start:end] == self._number)
            start = end
            if len(rows):
                yield Located(
                    located.batch.take(pa.array(rows)),
                    located.file,
                    located.first_row,
                    _locator(located, rows),
                )


def _locator(located: Located, rows: Any) -> Callable[[int], Any]:
    return lambda row: located.place(int(rows[row]))


def _views(
    source: Source, counts: Sequence[int], parts: Any, names: Sequence[str]
) -> Dict[str, SplitSource]:
    ends = np.cumsum(counts)
    made: Dict[str, SplitSource] = {}
    for number, name in enumerate(names):
        files = [
            _View(split, parts[end - count : end], number)
            for split, count, end in zip(source, counts, ends)
        ]
        first = next(iter(source), None)
        made[name] = SplitSource(name, files, first.features if first is not None else None)
    return made
