from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfl_repo._card import _yaml
from hfl_repo._card._edit import REMOVED, edited
from hfl_repo._card._text import CardText, UnreadableCardError

CARD = b"""---
# Who may use it
license: "mit"  # legal agreed
language: no

tags:
# ours
  -  a   # first
  -  'b'
# between two fields

datasets: [x, y]   # both
x-unknown: {a: 1,   b: 2}
notes: |
  hello
   # no comment
# after the notes
model-index:
- name: x
  results: []   # none yet
undecided:   # later
---
# Title

Text with trailing blanks.
--- and a rule:
---
"""


def change(data: bytes, **changes) -> bytes:
    named = {key.replace("_", "-"): value for key, value in changes.items()}
    return edited(CardText.parse(data), named).encode()


def test_a_card_is_cut_without_losing_a_byte() -> None:
    for data in (CARD, CARD.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + CARD, b"\n\n" + CARD):
        assert CardText.parse(data).encode() == data
        assert CardText.parse(data).data["license"] == "mit"


def test_plain_words_are_read_as_the_hub_reads_them() -> None:
    data = CardText.parse(b"---\na: no\nb: on\nc: 2024-01-02\nd: 1e3\ne: 0x1f\nf: 0o17\n---\n").data
    assert data == {"a": "no", "b": "on", "c": "2024-01-02", "d": 1000.0, "e": 31, "f": 15}


@pytest.mark.parametrize(
    ("changes", "before", "after"),
    [
        ({"license": "apache-2.0"}, b'"mit"  #', b'"apache-2.0"  #'),
        ({"language": "de"}, b"language: no\n", b"language: de\n"),
        ({"undecided": "yes"}, b"undecided:   #", b"undecided: 'yes'   #"),
        ({"datasets": ["x", "y", "z"]}, b"[x, y]", b"[x, y, z]"),
        ({"datasets": ["y"]}, b"[x, y]", b"[y]"),
        ({"tags": ["a", "b", "c"]}, b"  -  'b'\n", b"  -  'b'\n  -  c\n"),
        ({"tags": ["b"]}, b"  -  a   # first\n", b""),
        ({"tags": ["a", "c"]}, b"  -  'b'\n", b"  -  c\n"),
        ({"notes": REMOVED}, b"notes: |\n  hello\n   # no comment\n", b""),
        ({"x_unknown": REMOVED}, b"x-unknown: {a: 1,   b: 2}\n", b""),
        ({"new": ["no", "1e5"]}, b"  # later\n---", b"  # later\nnew:\n- 'no'\n- '1e5'\n---"),
        (
            {"model_index": [{"name": "y"}]},
            b"- name: x\n  results: []   # none yet\n",
            b"- name: y\n",
        ),
    ],
)
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_only_the_field_changes(changes, before, after, newline, mark) -> None:
    start = mark + CARD.replace(b"\n", newline)
    wanted = mark + CARD.replace(before, after, 1).replace(b"\n", newline)
    assert before in CARD
    assert change(start, **changes) == wanted


def test_a_field_that_says_so_already_changes_nothing() -> None:
    card = CardText.parse(CARD)
    assert edited(card, {"license": "mit", "tags": ["a", "b"], "absent": REMOVED}) is card


@pytest.mark.parametrize(
    ("data", "result"),
    [
        (b"", b"---\nlicense: mit\n---\n"),
        (b"# Title\n", b"---\nlicense: mit\n---\n\n# Title\n"),
        (b"# Title", b"---\nlicense: mit\n---\n\n# Title"),
        (b"\r\nText\r\n", b"---\r\nlicense: mit\r\n---\r\n\r\nText\r\n"),
        (b"\xef\xbb\xbfText\n", b"\xef\xbb\xbf---\nlicense: mit\n---\n\nText\n"),
        (b"---\n---\nText", b"---\nlicense: mit\n---\nText"),
        (b"---\n# only a comment\n---", b"---\n# only a comment\nlicense: mit\n---"),
        (b"---\nno metadata\n---\n", b"---\nlicense: mit\n---\n\n---\nno metadata\n---\n"),
        (b"---\nnever closed\n", b"---\nlicense: mit\n---\n\n---\nnever closed\n"),
        (b"---\n  a: 1\n---\n", b"---\n  a: 1\n  license: mit\n---\n"),
        (
            b"---\na: 1\nlicense: x\nlicense: y\n---\n",
            b"---\na: 1\nlicense: x\nlicense: mit\n---\n",
        ),
    ],
)
def test_a_card_without_the_field_gets_it(data, result) -> None:
    assert change(data, license="mit") == result
    assert CardText.parse(result).data["license"] == "mit"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"---\na: [1\n---\n", "no YAML"),
        (b"---\n\tb: 1\n---\n", "no YAML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"---\na: " + b"x" * 2_000_000 + b"\n---\n", "1 MiB"),
    ],
)
def test_what_cannot_be_read_says_why(data, reason) -> None:
    with pytest.raises(UnreadableCardError, match=reason):
        CardText.parse(data)


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        (b"---\n{license: mit, a: 1}\n---\n", {"license": "x"}),
        (b"---\nlicense: &l mit\nother: *l\n---\n", {"license": REMOVED}),
    ],
)
def test_what_cannot_be_changed_safely_is_not_changed(data, changes) -> None:
    with pytest.raises((UnreadableCardError, ValueError)):
        edited(CardText.parse(data), changes)


WORDS = st.sampled_from(
    ["mit", "no", "1e5", "x: y", "# not", "- a", "é☃", "it's", '"q"', "a b", ""]
)
VALUES = st.one_of(
    WORDS,
    st.integers(-5, 5),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False, width=16),
    st.lists(WORDS, max_size=4, unique=True),
    st.dictionaries(st.sampled_from("pqr"), WORDS, max_size=2),
)
FIELDS = ["license", "tags", "datasets", "language", "undecided", "notes", "model-index", "new"]
UNTOUCHED = re.compile(rb"x-unknown: \{a: 1,   b: 2\}\r?\n")


@settings(max_examples=150)
@given(
    steps=st.lists(
        st.dictionaries(st.sampled_from(FIELDS), st.one_of(VALUES, st.just(REMOVED)), max_size=3),
        max_size=4,
    ),
    newline=st.sampled_from([b"\n", b"\r\n"]),
)
def test_whatever_is_changed_the_rest_stays_and_the_card_says_it(steps, newline) -> None:
    start = CARD.replace(b"\n", newline)
    card, wanted = CardText.parse(start), CardText.parse(start).data
    for changes in steps:
        card = edited(card, changes)
        wanted.update(changes)
        wanted = {key: value for key, value in wanted.items() if value is not REMOVED}
    data = card.encode()
    assert _yaml.is_same(CardText.parse(data).data, wanted)
    assert UNTOUCHED.search(data)
    assert b"# Who may use it" + newline in data
    body = start[start.index(b"# Title") :]
    assert data.endswith(b"---" + newline + body)


@settings(max_examples=100)
@given(st.binary(max_size=60).map(lambda junk: b"---\n" + junk + b"\n---\nText"))
def test_junk_is_refused_or_kept(data) -> None:
    try:
        card = CardText.parse(data)
        changed = edited(card, {"license": "mit"})
    except UnreadableCardError:
        return
    assert card.encode() == data
    assert CardText.parse(changed.encode()).data == {**card.data, "license": "mit"}
    assert changed.encode().endswith(b"Text")


@pytest.mark.parametrize(
    ("data", "changes", "result"),
    [
        # A list that becomes another one is written anew; so is one that becomes empty.
        (b"---\nt: [a, b]\n---\n", {"t": ["b", "a"]}, b"---\nt:\n- b\n- a\n---\n"),
        (b"---\nt:\n- a\n---\n", {"t": []}, b"---\nt: []\n---\n"),
        (b"---\nt:\n- a: 1\n---\n", {"t": [{"a": 1}, 2]}, b"---\nt:\n- a: 1\n- 2\n---\n"),
        (b"---\nt: >\n  long\n  text\nu: 1\n---\n", {"t": "x"}, b"---\nt: x\nu: 1\n---\n"),
        (b"---\nt: one\n  two\n---\n", {"t": "x"}, b"---\nt: x\n---\n"),
        (b"---\nt: x # c\n---\n", {"t": "a\nb"}, None),
        (b"---\nm: {a: 1}\n---\n", {"m": {"a": 2}}, b"---\nm:\n  a: 2\n---\n"),
        (b"---\nm:\n  a:\n# end\n---\n", {"m": 1}, b"---\nm: 1\n# end\n---\n"),
    ],
)
def test_values_that_change_their_shape(data, changes, result) -> None:
    changed = change(data, **changes)
    assert result is None or changed == result
    assert CardText.parse(changed).data == {**CardText.parse(data).data, **changes}


def test_what_a_card_can_hold() -> None:
    assert _yaml.plain({"a": (1, {"b"}), 2: None}) == {"a": [1, ["b"]], "2": None}
    with pytest.raises(TypeError, match="complex"):
        _yaml.plain([1j])
