from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfl_auth import MalformedTokenError, clean_token, mask_token

TOKEN = "hf_" + "aB3x" * 8


@pytest.mark.parametrize(
    "pasted",
    [
        TOKEN,
        f"  {TOKEN}\t",
        f"{TOKEN}\r\n",
        f"\n{TOKEN}\n",
        f'"{TOKEN}"',
        f"'{TOKEN}'",
        f"`{TOKEN}`",
        f"<{TOKEN}>",
        f"\u201c{TOKEN}\u201d",
        f"\ufeff{TOKEN}\u200b",
        f"Bearer {TOKEN}",
        f"bearer  {TOKEN} ",
        f"Authorization: Bearer {TOKEN}",
        f'"Authorization: Bearer {TOKEN}"',
        f"export HF_TOKEN={TOKEN}",
        f'export HF_TOKEN="{TOKEN}"',
        f"HF_TOKEN={TOKEN}",
        f"HF_TOKEN: '{TOKEN}'",
        f"set HF_TOKEN={TOKEN}",
        f'$env:HF_TOKEN = "{TOKEN}"',
        f"HUGGING_FACE_HUB_TOKEN={TOKEN};",
        f"--token {TOKEN}",
        f"--token={TOKEN}",
    ],
)
def test_what_people_paste_is_understood(pasted):
    assert clean_token(pasted) == TOKEN


@pytest.mark.parametrize(
    ("pasted", "reason"),
    [
        ("", "nothing is left"),
        (" '' \n", "nothing is left"),
        ("Bearer ", "nothing is left"),
        ("hf_abcd efgh", "a space in the middle"),
        (f"{TOKEN}\n{TOKEN}", "line break"),
        (f"https://user:{TOKEN}@huggingface.co", "an address"),
        ("hf_****wxyz", "masked"),
        ("hf_abc…wxyz", "masked"),
        ("hf_äöü", "a character that no token has"),
        ("hf_abc\x00def", "a character that no token has"),
        ('hf_"abc"', "a quote"),
        (f"SOMETHING={TOKEN}", "a quote or another character"),
    ],
)
def test_what_is_no_token_is_refused_with_the_reason(pasted, reason):
    with pytest.raises(MalformedTokenError, match=reason) as caught:
        clean_token(pasted, source="what was typed")
    assert "what was typed" in str(caught.value)
    assert isinstance(caught.value, ValueError)


@given(st.text(min_size=8))
def test_an_error_never_repeats_what_was_pasted(pasted):
    token, told = None, ""
    try:
        token = clean_token(pasted)
    except MalformedTokenError as error:
        told = str(error)
    assert pasted not in told
    if token is not None:
        assert clean_token(token) == token
        assert not any(each.isspace() for each in token)


def test_a_masked_token_can_be_recognised_but_not_used():
    assert mask_token(TOKEN) == "hf_aB3…aB3x"
    assert mask_token("hf_short") == "…"


@pytest.mark.parametrize(
    ("pasted", "reason"),
    [
        ("$HF_TOKEN", "name of a variable"),
        ("${HF_TOKEN}", "name of a variable"),
        ("%HF_TOKEN%", "name of a variable"),
        ("hf_" + "a" * 100_000, "far too long"),
    ],
)
def test_what_cannot_be_a_token_is_refused_before_it_is_sent(pasted, reason):
    with pytest.raises(MalformedTokenError, match=reason):
        clean_token(pasted)


def test_a_header_of_curl_is_understood():
    assert clean_token(f'-H "Authorization: Bearer {TOKEN}"') == TOKEN
