"""Validation: one pass over all rows, then the comparison of what was seen."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import pyarrow as pa

from hfl_datasets._sources._blocks import in_order
from hfl_datasets._sources._model import Located, Problem, Source, SourceFile, SplitSource
from hfl_datasets._sources._open import open_source
from hfl_datasets._sources._types import merge_schemas, type_name
from hfl_datasets._validate._columns import (
    MOST_LABELS,
    BatchFacts,
    Hit,
    Plan,
    look_at,
    text_that_is_no_number,
)
from hfl_datasets._validate._duplicates import RowHashes, find_duplicates, find_overlaps
from hfl_datasets._validate._expectations import Expectation, has_type
from hfl_datasets._validate._features import features_of
from hfl_datasets._validate._fingerprints import is_text
from hfl_datasets._validate._hash_store import HashStore, duplicates
from hfl_datasets._validate._images import can_decode
from hfl_datasets._validate._names import check_columns, check_splits
from hfl_datasets._validate._report import Collector, ValidationReport
from hfl_datasets._validate._rules import severities
from hfl_datasets._validate._schemas import compare_files, compare_splits

__all__ = ["validate_dataset"]

MAX_ROW_BYTES = 5 * 1024 * 1024
_HINTS = {
    "nan": "Write a null where a value is missing.",
    "infinite": "Replace it, or drop the row.",
    "label-range": "Mend the values, or add the names that are missing to ClassLabel(names=…).",
    "long-row": "Cut long texts, or keep large things in files of their own.",
    "secret": "Remove them and revoke what they open; refuse=['secret'] makes this an error.",
    "email": "Remove or mask them; refuse=['email'] makes this an error.",
    "broken-image": "Replace or remove the file.",
    "expectation": "Mend the rows, or change what is expected.",
}


def validate_dataset(
    source: Any,
    *,
    expectations: Iterable[Expectation] = (),
    refuse: Iterable[str] = (),
    ignore: Iterable[str] = (),
    severity: Mapping[str, str] | None = None,
    max_row_bytes: int = MAX_ROW_BYTES,
    **options: Any,
) -> ValidationReport:
    """Look at data before it is published.

    Every row is read once, in bounded memory. Nothing is changed, nothing is sent.

    Args:
        source: Anything that `open_source` takes.
        expectations: What has to hold for columns.
        refuse: Rules whose findings keep the data from being published, such as "secret" and "email".
        ignore: Rules that are off.
        severity: Rule to "error", "warning", "info" or "off".
        max_row_bytes: How long a row may be, without images.
        options: How files are read; see `open_source`.

    Returns:
        What was found. Its `ok` says whether the data is fit to be published.

    Raises:
        ConfigError: A rule, an expectation or an option makes no sense.
        SourceNotFoundError: The source names no data.
        UnsupportedSourceError: A dataset cannot be made from it.

    Example:
        >>> report = validate_dataset([{"x": 1.5, "y": "a"}, {"x": float("inf"), "y": "b"}])
        >>> report.ok
        True
        >>> print(report.findings[0])
        warning infinite: the rows, row 2, column 'x': 1 value is infinite. Replace it, or drop the row.
    """
    chosen = severities(refuse=refuse, ignore=ignore, given=severity)
    return _Validation(
        open_source(source, **options), list(expectations), chosen, max_row_bytes
    ).report()


class _Split:
    """What was seen of a split."""

    def __init__(self, split: SplitSource) -> None:
        self.split = split
        self.rows = 0
        self.hashes = RowHashes()
        self.schema = pa.schema([])
        self.valid: Dict[str, int] = {}
        self.constant: Dict[str, Optional[int]] = {}
        self.labels: Dict[str, Optional[Dict[Any, None]]] = {}
        self.unique: Dict[str, HashStore] = {}
        self.numbers: Dict[str, Tuple[int, Optional[Problem]]] = {}
        self.hits: Dict[Tuple[str, Optional[str], Optional[str]], Tuple[Hit, int]] = {}


class _Validation:
    def __init__(
        self,
        source: Source,
        expectations: Sequence[Expectation],
        chosen: Mapping[str, str],
        max_row_bytes: int,
    ) -> None:
        self._source = source
        self._expectations = expectations
        self._off = frozenset(name for name, level in chosen.items() if level == "off")
        self._found = Collector(chosen)
        self._max_row_bytes = max_row_bytes

    def report(self) -> ValidationReport:
        """Do everything."""
        check_splits(self._source.splits, self._found)
        seen = {split.name: self._look_at(split) for split in self._source}
        try:
            schemas = {name: item.schema for name, item in seen.items()}
            compare_splits(schemas, self._found)
            for name, item in seen.items():
                self._judge(name, item)
            find_overlaps({name: item.hashes for name, item in seen.items()}, self._found)
            self._compare_labels(seen)
        finally:
            for item in seen.values():
                item.hashes.close()
        return ValidationReport(
            self._source.name,
            self._found.findings(),
            {name: item.rows for name, item in seen.items()},
            {
                name: {field.name: type_name(field.type) for field in schema}
                for name, schema in schemas.items()
            },
        )

    def _look_at(self, split: SplitSource) -> _Split:
        seen = _Split(split)
        schemas: List[pa.Schema] = []
        compared: List[pa.Schema] = []
        for file in split.files:
            before = seen.rows
            self._look_at_file(file, split, seen)
            schema = file.schema(lambda _: None)
            schemas.append(schema)
            has_rows = seen.rows > before
            compared.append(schema if has_rows else pa.schema([]))
            if not has_rows and len(split.files) > 1:
                self._found.add(
                    "no-rows",
                    "The file has no row.",
                    "Leave it out.",
                    split=split.name,
                    place=_place(file),
                    severity="warning",
                )
        compare_files(split, compared, self._found)
        texts = all(file.format in ("csv", "tsv") for file in split.files)
        merged, clashes = merge_schemas(schemas, to_text=texts)
        if merged is not None:
            seen.schema = merged
            if not clashes:
                split.settle(merged)
        check_columns(split.name, seen.schema.names, self._found)
        return seen

    def _look_at_file(self, file: SourceFile, split: SplitSource, seen: _Split) -> None:
        def report(problem: Problem) -> None:
            self._found.problem(problem, split.name)

        plans: Dict[int, Plan] = {}

        def look(located: Located) -> Tuple[Located, BatchFacts]:
            plan = plans.get(0)
            if plan is None:
                plan = plans.setdefault(0, self._plan(located.batch.schema, split))
            return located, look_at(located, plan)

        for located, facts in in_order(look, file.read(None, report)):
            self._merge(located, facts, seen)

    def _plan(self, schema: pa.Schema, split: SplitSource) -> Plan:
        features = features_of(schema)
        has_decoder = bool(features.images) and can_decode()
        if features.images and not has_decoder:
            self._found.add(
                "unchecked",
                "The images were not decoded: the library for that is not installed.",
                "Install it with: pip install 'hfl-datasets[images]'",
                split=split.name,
            )
        return Plan(
            features,
            [item for item in self._expectations if item.is_about(split.name)],
            self._max_row_bytes,
            self._off,
            has_decoder,
        )

    def _merge(self, located: Located, facts: BatchFacts, seen: _Split) -> None:
        seen.hashes.start(facts.file, facts.first_row)
        seen.hashes.exact.add(facts.exact)
        seen.hashes.alike.add(facts.alike)
        for name, column in facts.columns.items():
            if column.valid:
                known = seen.constant.get(name, 0)
                seen.constant[name] = column.hash if known in (0, column.hash) else None
            seen.valid[name] = seen.valid.get(name, 0) + column.valid
            if column.labels is not None:
                values = seen.labels.setdefault(name, {})
                if values is not None:
                    values.update(dict.fromkeys(column.labels))
                    if len(values) > MOST_LABELS:
                        seen.labels[name] = None
            if column.hashes is not None:
                seen.unique.setdefault(name, HashStore()).add(column.hashes)
        if located.file.format in ("csv", "tsv"):
            self._count_numbers(located, seen)
        for hit in facts.hits:
            # The reason why an image is broken differs from one to the next; they are one finding all the same.
            key = (hit.rule, hit.column, hit.words if hit.rule == "expectation" else None)
            first, count = seen.hits.get(key, (hit, 0))
            seen.hits[key] = (first, count + hit.count)
        seen.rows += facts.rows

    def _count_numbers(self, located: Located, seen: _Split) -> None:
        """Watch columns of text in a CSV file for numbers, until it is clear that they are text."""
        batch = located.batch
        for name, column in zip(batch.schema.names, batch.columns):
            count, first = seen.numbers.get(name, (0, None))
            if not is_text(column.type):
                seen.numbers[name] = (count + len(column) - column.null_count, first)
                continue
            if first is not None and count * 2 < seen.rows:
                continue
            looked_at = column if count * 2 >= seen.rows > 0 else column.slice(0, 1000)
            numbers, row = text_that_is_no_number(looked_at)
            if first is None and row is not None:
                value = str(column[row].as_py())
                place = located.place(row) if numbers * 2 > len(looked_at) or count else None
                if place is not None:
                    first = Problem("numbers-as-text", place, "", "", name, value)
            seen.numbers[name] = (count + numbers * len(column) // max(1, len(looked_at)), first)

    def _hit(self, hit: Hit, count: int, split: str) -> None:
        if hit.rule == "broken-image":
            message = f"{_counted(count, 'image')} cannot be decoded; the first: {hit.words}."
        else:
            words = hit.words if count > 1 else _singular(hit.words)
            message = f"{_counted(count, 'row' if hit.column is None else 'value')} {words}."
        self._found.add(
            hit.rule,
            message,
            _HINTS[hit.rule],
            split=split,
            place=hit.place,
            column=hit.column,
            count=count,
            example=hit.example,
        )

    def _judge(self, name: str, seen: _Split) -> None:
        found = self._found
        for hit, count in seen.hits.values():
            self._hit(hit, count, name)
        if not seen.rows:
            if not found.has_error(name):  # else that is why
                found.add(
                    "no-rows",
                    "The split has no row.",
                    "Leave it out, or look for the data.",
                    split=name,
                )
            return
        for field in seen.schema:
            column = field.name
            if not seen.valid.get(column):
                found.add(
                    "empty-column",
                    f"None of the {seen.rows:,} rows has a value.",
                    "Drop the column, or look for the values.",
                    split=name,
                    column=column,
                )
            elif seen.constant.get(column) is not None and seen.valid[column] == seen.rows > 1:
                found.add(
                    "constant-column",
                    f"All {seen.rows:,} rows have the same value.",
                    "Drop the column, unless it is meant to be like this.",
                    split=name,
                    column=column,
                )
        self._judge_numbers(name, seen)
        self._judge_expectations(name, seen)
        find_duplicates(name, seen.hashes, found)

    def _judge_numbers(self, name: str, seen: _Split) -> None:
        for column, (count, first) in seen.numbers.items():
            valid = seen.valid.get(column, 0)
            if first is None or count < 0.9 * valid or count == valid:
                continue
            self._found.add(
                "numbers-as-text",
                f"Nearly all values are numbers, but {first.example!r} makes the column text.",
                "Leave the field empty where there is no number.",
                split=name,
                place=first.place,
                column=column,
                example=first.example,
            )

    def _judge_expectations(self, name: str, seen: _Split) -> None:
        for expected in self._expectations:
            if not expected.is_about(name):
                continue
            if expected.column not in seen.schema.names:
                self._expect(name, expected, f"There is no column {expected.column!r}.")
                continue
            kind = seen.schema.field(expected.column).type
            if expected.type is not None and not has_type(kind, expected.type):
                self._expect(name, expected, f"It is {type_name(kind)}, not {expected.type}.")
            if expected.unique and expected.column in seen.unique:
                count, _ = duplicates(seen.unique[expected.column])
                if count:
                    self._expect(
                        name,
                        expected,
                        f"{_counted(count, 'value')} occurred before; each has to be unique.",
                    )
                seen.unique[expected.column].close()

    def _expect(self, split: str, expected: Expectation, message: str) -> None:
        self._found.add(
            "expectation",
            message,
            _HINTS["expectation"],
            split=split,
            column=expected.column,
        )

    def _compare_labels(self, seen: Mapping[str, _Split]) -> None:
        train = seen.get("train")
        if train is None:
            return
        for name, item in seen.items():
            for column, values in item.labels.items():
                known = train.labels.get(column)
                if name == "train" or values is None or known is None:
                    continue
                new = [value for value in values if value not in known]
                if new:
                    self._found.add(
                        "unseen-label",
                        f"{len(new):,} of its {len(values):,} labels are not in split 'train'.",
                        "A model cannot learn what it never sees: split again, stratified by the label.",
                        split=name,
                        column=column,
                        count=len(new),
                        example=", ".join(str(value) for value in new[:5]),
                    )


def _place(file: SourceFile) -> Any:
    from hfl_datasets._sources._model import Place

    return Place(file.name)


def _counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"


def _singular(words: str) -> str:
    for plural, singular in (
        ("are ", "is "),
        ("look ", "looks "),
        ("hold ", "holds "),
        ("do not ", "does not "),
    ):
        if words.startswith(plural):
            return singular + words[len(plural) :]
    return words
