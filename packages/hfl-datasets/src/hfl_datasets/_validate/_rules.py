"""The rules: what each looks for, and how bad it is when it is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, Mapping

from hfl_core import ConfigError

__all__ = ["RULES", "SEVERITIES", "Rule", "severities"]

SEVERITIES = ("error", "warning", "info", "off")


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: What findings call it.
        severity: "error" keeps data from being published; "warning" and "info" are shown.
        looks_for: What it finds, in one line.
    """

    name: str
    severity: str
    looks_for: str


RULES: Dict[str, Rule] = {
    name: Rule(name, severity, looks_for)
    for name, severity, looks_for in (
        # What cannot be read.
        (
            "unreadable",
            "error",
            "A file, or the rest of it from some place on, that cannot be read.",
        ),
        ("invalid-utf8", "error", "Bytes in a text that are no UTF-8."),
        ("wrong-delimiter", "error", "A CSV file whose fields are separated by something else."),
        ("ragged-row", "error", "A CSV line with more or fewer fields than the header."),
        (
            "unclosed-quote",
            "error",
            "A quotation mark in a CSV file that is opened and not closed.",
        ),
        ("mixed-types", "error", "Rows that are no objects; a column of numbers here, text there."),
        (
            "missing-metadata",
            "error",
            "An image or sound that the folder's metadata does not name.",
        ),
        ("broken-image", "error", "An image that cannot be decoded, or is missing."),
        ("no-rows", "error", "A split, or a file, without a single row."),
        # Names.
        ("split-name", "error", "A split's name that the datasets library refuses to load."),
        ("duplicate-column", "error", "Two columns of one name."),
        (
            "column-name",
            "warning",
            "A column's name that is empty or troublesome: dots, spaces, control characters.",
        ),
        ("many-columns", "warning", "More columns than the Hub's viewer shows (1,000)."),
        # The schema across files and splits.
        ("missing-column", "error", "A column that one file or split lacks."),
        ("extra-column", "error", "A column that one file or split alone has."),
        ("type-drift", "error", "A column that has one type here and another there."),
        (
            "number-drift",
            "warning",
            "A column that holds integers here and floating point numbers there.",
        ),
        ("nested-drift", "error", "Lists or structures of one column that are built differently."),
        ("nullability", "info", "A column that may be null here and not there."),
        (
            "label-names",
            "error",
            "Class labels that have other names, or another order, elsewhere.",
        ),
        # Values.
        ("empty-column", "warning", "A column without any value."),
        ("constant-column", "warning", "A column with the same value in every row."),
        (
            "numbers-as-text",
            "warning",
            "A column of numbers that a few other values turn into text.",
        ),
        ("nan", "warning", "NaN in a column of floating point numbers."),
        ("infinite", "warning", "An infinite number."),
        ("label-range", "error", "A class label that has no name."),
        ("unseen-label", "warning", "A label that a split has and the split 'train' has not."),
        ("long-row", "warning", "A row that is longer than 5 MiB, or than what is asked for."),
        # Rows that occur twice.
        ("duplicate-rows", "warning", "Equal rows within a split."),
        (
            "near-duplicate-rows",
            "info",
            "Rows that differ in case, white space and punctuation alone.",
        ),
        (
            "split-overlap",
            "error",
            "Rows of one split that occur in another: leakage. A warning below one in a hundred.",
        ),
        ("near-split-overlap", "warning", "The same, but for case, white space and punctuation."),
        # How rows were divided; looked at by check_splits where it is asked for.
        ("group-overlap", "error", "A group whose rows are in more than one split."),
        ("time-overlap", "error", "Rows for training that are later than rows for testing."),
        (
            "label-balance",
            "warning",
            "A label that is far more, or less, common in one split than in all.",
        ),
        # What does not belong into public data.
        ("secret", "warning", "Tokens, keys and passwords."),
        ("email", "warning", "E-mail addresses."),
        ("expectation", "error", "A value that is not what was declared."),
        ("unchecked", "info", "Something that could not be looked at."),
    )
}


def severities(
    *,
    refuse: Iterable[str] = (),
    ignore: Iterable[str] = (),
    given: Mapping[str, str] | None = None,
) -> Dict[str, str]:
    """Collect what the user says about how bad rules are.

    Args:
        refuse: Rules whose findings are errors.
        ignore: Rules that are off.
        given: Rule to severity.

    Returns:
        The rules that were named, with their severity.

    Raises:
        ConfigError: There is no such rule or severity.
    """
    chosen = {
        **(given or {}),
        **dict.fromkeys(refuse, "error"),
        **dict.fromkeys(ignore, "off"),
    }
    for name, severity in chosen.items():
        if name not in RULES:
            raise ConfigError(
                f"There is no rule {name!r}.", hint=f"The rules are: {', '.join(RULES)}."
            )
        if severity not in SEVERITIES:
            raise ConfigError(
                f"{severity!r} is no severity.", hint=f"Pass one of: {', '.join(SEVERITIES)}."
            )
    return chosen
