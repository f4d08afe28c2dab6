from __future__ import annotations

import hashlib
import json
import string
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hfl_core import redact
from hfl_core._redact import is_secret_name

ALNUM = string.ascii_letters + string.digits


def text_of(alphabet: str, size: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=size, max_size=size)


TOKENS = st.one_of(
    text_of(ALNUM, 34).map("hf_{}".format),
    text_of(ALNUM, 36).map("ghp_{}".format),
    text_of(ALNUM, 36).map("gho_{}".format),
    text_of(ALNUM, 40).map("github_pat_{}".format),
    text_of(string.ascii_uppercase + string.digits, 16).map("AKIA{}".format),
    text_of(string.ascii_uppercase + string.digits, 16).map("ASIA{}".format),
    text_of(ALNUM, 48).map("sk-{}".format),
    text_of(ALNUM, 40).map("sk-proj-0{}".format),
    text_of(string.digits, 24).map("xoxb-{}".format),
)
# What may stand around a token without becoming a part of it.
AROUND = st.sampled_from(
    [
        "",
        " ",
        "\n",
        "(",
        ")",
        '"',
        "'",
        ", ",
        "[",
        "]",
        ":",
        "=",
        " -> ",
        "/",
        "?",
        "token is ",
        "{'a': ",
    ]
)
SECRET_NAMES = st.sampled_from(
    [
        "HF_TOKEN",
        "hf_token",
        "HUGGING_FACE_HUB_TOKEN",
        "api_key",
        "apiKey",
        "API-KEY",
        "x-api-key",
        "OPENAI_API_KEY",
        "password",
        "db_password",
        "client_secret",
        "AWS_SECRET_ACCESS_KEY",
        "aws_session_token",
        "accessToken",
        "private_key",
        "PASSPHRASE",
        "wandb.api_key",
    ]
)
HARMLESS_NAMES = st.sampled_from(
    [
        "use_cls_token",
        "num_memory_tokens",
        "tokenizer",
        "max_tokens",
        "eos_token",
        "pad_token_id",
        "tokens_per_second",
        "bos_token",
        "TOKENIZERS_PARALLELISM",
        "passes",
        "keyboard",
        "key",
        "secretary",
        "monkey",
        "api_keys_count",
        "author",
        "new_token",
    ]
)
# Distinct enough that finding it in the output means that it was not masked.
VALUES = text_of(ALNUM, 20).map("Zq9{}".format)


@given(AROUND, TOKENS, AROUND)
def test_a_token_is_masked_whatever_stands_around_it(before: str, token: str, after: str):
    assert token not in redact(f"{before}{token}{after}")


@given(
    SECRET_NAMES,
    VALUES,
    st.sampled_from(
        [
            "{n}={v}",
            '{n}="{v}"',
            "{n}='{v}'",
            "{n}: {v}",
            "{n} = {v}",
            '"{n}": "{v}"',
            "'{n}': '{v}'",
            '{{"a": 1, "{n}": "{v}"}}',
            "Client({n}={v!r}, retries=3)",
            "export {n}={v}; run",
            "https://host/path?{n}={v}&x=1",
            "--{n} {v} --next",
            "--{n}={v}",
            "{n}:{v}",
            "{n} := {v}",
            "{n}=b'{v}'",
        ]
    ),
)
def test_a_value_under_a_secret_name_is_masked(name: str, value: str, form: str):
    text = form.format(n=name, v=value)
    redacted = redact(text)
    assert value not in redacted
    assert name in redacted


@given(HARMLESS_NAMES, VALUES, st.sampled_from(["{n}={v}", '"{n}": "{v}"', "{n}: {v}"]))
def test_a_value_under_a_harmless_name_stays(name: str, value: str, form: str):
    text = form.format(n=name, v=value)
    assert redact(text) == text


@given(st.text())
@example('password="a\\')
@example("token='")
@example("-----BEGIN RSA PRIVATE KEY-----\nabc")
@example("https://a:b@c@d/e")
@example("Authorization: Bearer ")
def test_redacting_twice_changes_nothing_more(text: str):
    once = redact(text)
    assert redact(once) == once


@given(
    st.lists(
        st.one_of(
            TOKENS,
            st.sampled_from(["password: x", "a=b", " ", "\n", "https://u:p@h/", "/home/u/x"]),
        )
    )
)
def test_redacting_twice_changes_nothing_more_with_secrets_in_it(parts: list[str]):
    once = redact(" ".join(parts))
    assert redact(once) == once


@given(st.binary())
def test_digests_stay(content: bytes):
    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(algorithm, content).hexdigest()
        for text in (digest, f"sha256:{digest}", f'{{"sha256": "{digest}"}}', f"commit {digest}"):
            assert redact(text) == text


@given(
    st.dictionaries(
        st.text(string.ascii_lowercase + "_", min_size=1).filter(
            lambda name: not is_secret_name(name)
        ),
        st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans()),
    )
)
def test_hyperparameters_that_are_numbers_stay(values: dict[str, object]):
    text = json.dumps(values)
    assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "use_cls_token=True",
        "num_memory_tokens: 16",
        "tokenizer=BertTokenizerFast",
        "max_tokens=512",
        'eos_token: "</s>"',
        '"pad_token": "[PAD]"',
        "AutoTokenizer.from_pretrained('gpt2')",
        "token=None",
        '{"token": null}',
        "token: true",
        "Invalid token: expired",
        "def login(token: str) -> None:",
        "from huggingface_hub import hf_hub_download",
        "sk-learn-compatible estimators",
        "Bearer authentication is required",
        "hf://me/digits@checkpoints/step-500",
        "hf://gpt2@main/config.json",
        "git@github.com:me/repo.git",
        "https://huggingface.co/me/digits/resolve/main/model.safetensors",
        "http://127.0.0.1:8080/api/models/me/digits",
        "s3://bucket/key@2",
        "step 500: loss=0.25, token_accuracy=0.9",
        "2024-01-01T10:00:00Z",
        "datasets/home/alice/x",
        "the key: value store",
        "if token == other:",
        "token_type_ids=[0, 1]",
        "",
    ],
)
def test_harmless_text_stays(text: str):
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:s3cret@example.org/x", "https://***@example.org/x"),
        ("https://me:p@ss@example.org/x", "https://***@example.org/x"),
        ("postgresql+psycopg://u:p@db:5432/x", "postgresql+psycopg://***@db:5432/x"),
        ("https://tok@github.com/me/x", "https://***@github.com/me/x"),
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Signature=abc123&x=1",
            "https://b.s3.amazonaws.com/k?X-Amz-Signature=***&x=1",
        ),
        ("https://hooks.slack.com/services/T0/B0/abc", "https://hooks.slack.com/services/***"),
        ("https://discord.com/api/webhooks/1/abc ok", "https://discord.com/api/webhooks/*** ok"),
        ("Authorization: Bearer abc", "Authorization: Bearer ***"),
        ("{'authorization': 'Bearer abc', 'x': 1}", "{'authorization': 'Bearer ***', 'x': 1}"),
        ("Authorization: abc", "Authorization: ***"),
        ("sent Bearer abcd1234 to", "sent Bearer *** to"),
        ("password: correct horse battery\nuser: me", "password: ***\nuser: me"),
        ('password: "correct horse" # x', 'password: "***" # x'),
        ('{\\"token\\": \\"abc123def\\"}', '{\\"token\\": \\"***\\"}'),
        ('password="a\\"b c"', 'password="***"'),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "***"),
        ("hf_oauth_abcdefghijkl.mno", "***"),
        ("a\n-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\nb", "a\n***\nb"),
        ("password=12345", "password=***"),
        ("token=12345", "token=12345"),
    ],
)
def test_secrets_are_masked_and_the_rest_stays(text: str, expected: str):
    assert redact(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/alice/runs", "~/runs"),
        ("in '/home/alice'", "in '~'"),
        ("/Users/alice/x:/home/bob/y", "~/x:~/y"),
        ("file:///home/alice/x", "file://~/x"),
        ("C:\\Users\\Alice Doe\\runs", "~\\runs"),
        ("C:\\\\Users\\\\alice\\\\runs", "~\\\\runs"),
        ("c:/Users/alice/runs", "~/runs"),
        ("/root/.cache", "~/.cache"),
        ("/rootfs/x", "/rootfs/x"),
        ("/homes/x", "/homes/x"),
        ("https://example.org/home/alice/x", "https://example.org/home/alice/x"),
    ],
)
def test_home_folders_become_a_tilde(text: str, expected: str):
    assert redact(text) == expected


def test_the_own_home_is_hidden_wherever_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert redact(f"{tmp_path}/me/runs and {tmp_path}/me2") == f"~/runs and {tmp_path}/me2"


@pytest.mark.parametrize("home", ["/", ""])
def test_a_home_that_is_the_root_hides_nothing(monkeypatch: pytest.MonkeyPatch, home: str):
    monkeypatch.setenv("HOME", home)
    assert redact("/data/x") == "/data/x"


def test_long_texts_without_secrets_are_read_in_linear_time():
    # Quadratic backtracking would need minutes here, and the suite's time limit would end it.
    for piece in (
        "a",
        "a_",
        "a-",
        "=",
        '"',
        "token",
        "-----BEGIN ",
        "eyJ",
        "https://",
        "\\\\",
        "a:",
        "sk-",
        " ",
    ):
        text = piece * (400_000 // len(piece))
        redact(text)


def test_the_vocabulary_of_a_tokenizer_is_no_header():
    vocabulary = '{"musicals":20103,"authorization":20104,"##lessly":20105}'
    assert redact(vocabulary) == vocabulary
    assert "20104secret" not in redact('{"authorization": "20104secret"}')
    assert "998877665544" not in redact('{"authorization": "998877665544"}')
