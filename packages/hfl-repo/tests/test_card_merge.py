from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfl_repo._card._edit import REMOVED
from hfl_repo._card._memory import trailer, trailer_in
from hfl_repo._card._merge import merge


@pytest.mark.parametrize(
    ("base", "theirs", "ours", "changes", "kept", "conflicts"),
    [
        ({}, {}, {"a": 1}, {"a": 1}, (), ()),
        ({"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}, (), ()),
        ({"a": 1}, {"a": 2}, {"a": 1}, {}, ("a",), ()),
        ({"a": 1}, {"a": 2}, {"a": 2}, {}, (), ()),
        ({"a": 1}, {"a": 2}, {"a": 3}, {}, (), ("a",)),
        ({}, {"a": 2}, {"a": 3}, {}, (), ("a",)),
        ({"a": 1}, {"a": 1}, {"a": None}, {"a": REMOVED}, (), ()),
        ({"a": 1}, {}, {"a": 1}, {}, ("a",), ()),
        ({"a": 1}, {}, {"a": 2}, {}, (), ("a",)),
        ({"a": 1}, {"a": 2}, {"a": None}, {}, (), ("a",)),
        ({"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2}, {"a": 2}, (), ()),
        ({}, {"t": ["x"]}, {"t": ["y"]}, {"t": ["x", "y"]}, ("t",), ()),
        ({"t": ["x", "y"]}, {"t": ["z", "y"]}, {"t": ["x", "y"]}, {}, ("t",), ()),
        ({"t": ["x"]}, {"t": ["x", "z"]}, {"t": ["y"]}, {"t": ["z", "y"]}, ("t",), ()),
        ({}, {"l": "en"}, {"l": ["de"]}, {"l": ["en", "de"]}, ("l",), ()),
        ({}, {"m": {"p": 1}}, {"m": [1]}, {}, (), ("m",)),
        ({}, {"a": True}, {"a": 1}, {}, (), ("a",)),
    ],
)
def test_every_combination_of_three_sides(base, theirs, ours, changes, kept, conflicts) -> None:
    found = merge(base, theirs, ours)
    assert (found.changes, found.kept, found.conflicts) == (changes, kept, conflicts)


ITEMS = st.lists(st.sampled_from("abcdef"), max_size=5, unique=True)


@given(base=ITEMS, theirs=ITEMS, ours=ITEMS)
def test_lists_take_what_either_side_added_and_lose_what_either_took_out(
    base, theirs, ours
) -> None:
    found = merge({"t": base}, {"t": theirs}, {"t": ours}).changes.get("t", theirs)
    added = (set(theirs) | set(ours)) - set(base)
    taken_out = set(base) - (set(theirs) & set(ours))
    assert set(found) == (set(base) | added) - taken_out
    assert len(found) == len(set(found))


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.text(), st.integers(), ITEMS)))
def test_what_was_said_can_be_read_from_the_message_again(said) -> None:
    assert trailer_in(f"Some text\n\n{trailer(said)}\n") == said


def test_a_message_without_or_with_a_broken_line_says_nothing() -> None:
    assert trailer_in("Some text") is None
    assert trailer_in("Hfl-Card: {") is None
    assert trailer_in("Hfl-Card: []") is None
