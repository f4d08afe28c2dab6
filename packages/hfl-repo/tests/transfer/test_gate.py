from __future__ import annotations

import gzip
import json
import lzma
import os
import pickle
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfl_core.errors import ConfigError
from hfl_repo import UnsafeUploadError
from hfl_repo._transfer._digest_cache import DigestCache
from hfl_repo._transfer._findings import Allowed
from hfl_repo._transfer._gate import inspect_file, pass_gate
from hfl_repo._transfer._scan import LocalFile, file_key
from hfl_repo._transfer._secrets import find_secrets

TOKEN = (
    "hf_" + "abcdEFGH1234ijklMNOP5678qrstUVWX90"
)  # put together, so that no scanner trips over it
WANDB = "0123456789abcdef" * 2 + "01234567"


def noise(size):
    return random.Random(size).getrandbits(8 * size).to_bytes(size, "little")


def by_name(value):
    return value if isinstance(value, str) and len(value) < 30 else "-"


@pytest.fixture
def look(tmp_path):
    def look(name, content):
        place = tmp_path / "upload" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        found = list(inspect_file(name, place))
        for finding in found:
            assert TOKEN not in str(finding)
            assert WANDB not in str(finding)
        return [(finding.kind, finding.place) for finding in found]

    return look


def tensors(header, data=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def zipped(tmp_path, members, compression=zipfile.ZIP_DEFLATED):
    place = tmp_path / "made.zip"
    with zipfile.ZipFile(place, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return place.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("notes.txt", f"one\ntwo {TOKEN}\n", "line 2"),
        ("args.json", json.dumps({"lr": 1, "x": TOKEN}, indent=1), "line 3"),
        ("state.pkl", pickle.dumps({"x": TOKEN, "data": noise(5000)}), "byte"),
        ("weights.bin", noise(3_000_000) + TOKEN.encode() + noise(9), "byte 3,000,000"),
        ("m.safetensors", tensors({"__metadata__": {"x": TOKEN}}), "byte"),
        ("x.jsonl.gz", gzip.compress(f"a\nb\n{TOKEN}\n".encode()), "line 3"),
        ("x.xz", lzma.compress(b"a\nb\n" * 5000 + TOKEN.encode()), "line 10001"),
        ("key.pem", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\n", "line 1"),
        ("url.md", "clone https://bob:s3cr3tpw@example.org/x\n", "line 1"),
        ("h.txt", "Authorization: Bearer abcdef0123456789abcdef\n", "line 1"),
        ("hook.py", "URL = 'https://hooks.slack.com/services/T0/B0/abcdef'\n", "line 1"),
        ("aws.cfg", "key = AKIA" + "ABCDEFGHIJKLMNOP\n", "line 1"),
    ],
    ids=by_name,
)  # fmt: skip
def test_a_token_is_found_wherever_it_is(name, content, place, look) -> None:
    found = look(name, content)
    assert found, name
    assert {kind for kind, _ in found} == {"secret"}
    assert found[0][1].startswith(place)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".env", f"WANDB_API_KEY={WANDB}\n"),
        ("config.yaml", f"wandb_api_key: {WANDB}\n"),
        ("train.py", f"import os\nos.environ['WANDB_API_KEY'] = '{WANDB}'\n"),
        ("login.py", 'password = "correcthorse"\n'),
        ("run.ipynb", json.dumps({"cells": [{"source": [f"key = 1\nWANDB_API_KEY = '{WANDB}'"]}]})),
        ("args.pkl", pickle.dumps({"lr": 0.1, "wandb_api_key": WANDB})),
    ],
    ids=by_name,
)
def test_a_secret_is_found_by_the_name_it_stands_under(name, content, look) -> None:
    assert {kind for kind, _ in look(name, content)} == {"secret"}


def test_a_pickle_in_an_archive_is_looked_into_and_never_loaded(look, tmp_path) -> None:
    class Bomb:
        def __reduce__(self):
            return (Path(tmp_path / "executed").touch, ())

    data = pickle.dumps([Bomb(), {"hub_token": TOKEN, "wandb_api_key": WANDB}])
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        found = look("training_args.bin", zipped(tmp_path, {"a/data.pkl": data}, compression))
        assert any(place.startswith("a/data.pkl, byte") for _, place in found)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", json.dumps({"use_cls_token": True, "num_memory_tokens": 16, "eos_token": "</s>",
                                    "pad_token_id": 50256, "max_tokens": 512, "token_type": "bpe"})),
        ("train.py", ("import os\ntoken = os.environ['HF_TOKEN']\ntoken = get_token()\nlogin(token=token)\n"
                     "AutoModel.from_pretrained('x', token=True)\nsecret: str = field()\n")),
        ("README.md", ("Set `HF_TOKEN=hf_xxxxxxxxxxxxxxxxxxxxxxxx` and use https://user:password@host/.\n"
                      "Run it in /home/user/work or C:\\Users\\you\\work.\n")),
        ("tokenizer.json", json.dumps({"vocab": {"password": 3, "/home/alice": 4, "secret": 12}})),
        ("hashes.txt", "sha256: " + "0123456789abcdef" * 4 + "\n"),
        ("weights.bin", noise(400_000)),
        ("m.safetensors", tensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"\0" * 8)),
        ("empty.json", ""),
    ],
    ids=by_name,
)  # fmt: skip
def test_what_only_looks_like_it_passes(name, content, look) -> None:
    assert look(name, content) == []


def test_homes_and_paths_of_this_machine_are_found_in_configurations_and_cards(
    look, tmp_path
) -> None:
    (tmp_path / "data" / "base").mkdir(parents=True)
    config = {
        "base_model_name_or_path": "/data/models/llama",
        "x": "/home/alice/models",
        "y": str(tmp_path / "data" / "base"),
        "shell": "/bin/sh",
        "z": "https://example.org/home/alice",
    }
    found = look("adapter_config.json", json.dumps(config, indent=0))
    assert ("absolute-path", "line 2") in found
    assert ("home-path", "line 3") in found
    assert {kind for kind, place in found if place == "line 4"} <= {"absolute-path", "home-path"}
    assert not {"line 5", "line 6"} & {place for _, place in found}
    assert look("README.md", "base: /Users/carol/x\n") == [("home-path", "line 1")]
    assert look("data.csv", "path\n/home/alice/x.png\n") == []


def test_the_own_home_is_found_wherever_it_is(look, monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/scratch/alice")
    assert look("config.json", '{"x": "/scratch/alice/run"}') == [("home-path", "line 1")]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (tensors({"a": {"dtype": "F32", "shape": [0, 3], "data_offsets": [0, 0]}}), "empty-tensor"),
        (tensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"\0" * 7), "damaged"),
        (b"\x01", "damaged"),
        (struct.pack("<Q", 1 << 50) + b"{}", "damaged"),
        (struct.pack("<Q", 3) + b"{x}", "damaged"),
        (tensors({"a": {"dtype": "F32"}}), "damaged"),
        (tensors([]), "damaged"),
    ],
    ids=by_name,
)  # fmt: skip
def test_broken_and_empty_weights_are_found(content, kind, look) -> None:
    assert [found for found, _ in look("model.safetensors", content)] == [kind]


def test_an_archive_that_explodes_is_found_and_not_unpacked(look, tmp_path) -> None:
    place = tmp_path / "made.zip"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("x", b"x")
    data = bytearray(place.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 10 : entry + 12] = struct.pack("<H", zipfile.ZIP_DEFLATED)
    data[entry + 24 : entry + 28] = struct.pack("<I", 0xFFFFFFF0)
    assert look("bomb.zip", bytes(data)) == [("archive", "")]


# In a process of its own, which may have so much memory and no more.
LOOK = """
import pathlib, resource, sys
from hfl_repo._transfer._gate import inspect_file
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
print(list(inspect_file("x.xz", pathlib.Path(sys.argv[1]))))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
def test_a_header_that_asks_for_all_memory_does_not_stop_an_upload(tmp_path) -> None:
    data = bytearray(lzma.compress(b"x" * 1000))
    header = 12 + 4 * (data[12] + 1)  # .xz file format, 3.1: its real size is 4 * (stored + 1)
    data[data.index(b"\x21\x01", 12) + 2] = 40  # LZMA2 with a dictionary of 4 GiB - 1
    data[header - 4 : header] = struct.pack("<I", zlib.crc32(bytes(data[12 : header - 4])))
    place = tmp_path / "x.xz"
    place.write_bytes(bytes(data))
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(place)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n", done.stderr


def test_what_cannot_be_unpacked_is_told_and_does_not_stop_an_upload(look, caplog) -> None:
    assert look("broken.gz", b"\x1f\x8b\x08\x00" + b"\0" * 50) == []
    assert look("broken.zip", b"PK\x03\x04" + b"\0" * 50) == []
    assert caplog.text.count("could not be looked at") == 2


@pytest.mark.skipif(os.name != "posix", reason="elsewhere users are found in another way")
def test_a_user_without_a_home_has_no_path_in_it(look, monkeypatch) -> None:
    import pwd

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # a container that runs as a bare number
    assert look("config.json", '{"x": 1}') == []
    assert look("config.json", '{"x": "/home/alice/x"}')[0] == ("home-path", "line 1")


def test_findings_are_many_but_not_endless(look) -> None:
    assert len(look("x.txt", f"{TOKEN}\n" * 1000)) == 20


@settings(max_examples=60, deadline=None)
@given(
    before=st.binary(max_size=3000),
    after=st.binary(max_size=300),
    shift=st.integers(min_value=0, max_value=8),
)
def test_a_token_between_any_bytes_is_found(before, after, shift) -> None:
    data = before + b"\0" * shift + b"\n" + TOKEN.encode() + b"\n" + after
    assert list(find_secrets(data))


@pytest.mark.parametrize("at", [(1 << 20) - 20, (1 << 20) - 1, 1 << 20, (1 << 20) - 1024])
def test_a_token_on_the_border_of_two_pieces_is_found(at, look) -> None:
    assert ("secret", f"byte {at:,}") in look("w.bin", b"\0" * at + TOKEN.encode() + b"\0" * 5000)


def local(tmp_path, name, content):
    place = tmp_path / name
    place.write_text(content)
    return LocalFile(name, place, file_key(place))


def test_everything_is_named_at_once_and_nothing_is_given_away(tmp_path) -> None:
    files = [local(tmp_path, "a.txt", TOKEN), local(tmp_path, "b.json", '{"x": "/home/al/x"}')]
    with pytest.raises(UnsafeUploadError) as caught:
        pass_gate(files, (), Allowed(), DigestCache(None))
    assert list(caught.value.findings) == ["a.txt", "b.json"]
    assert "line 1: a secret" in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "allow", [["b.json"], ["home-path"], ["b.json:home-path"], ["*.json:home-path"]]
)
def test_what_is_let_through_by_name_passes(allow, tmp_path) -> None:
    file = local(tmp_path, "b.json", '{"x": "/home/al/x"}')
    pass_gate([file], (), Allowed(allow), DigestCache(None))
    with pytest.raises(UnsafeUploadError):
        pass_gate([file], (), Allowed(["b.json:secret", "a.json", "link"]), DigestCache(None))


def test_secrets_pass_for_a_file_only(tmp_path) -> None:
    with pytest.raises(ConfigError, match="not let through altogether"):
        Allowed(["secret"])
    pass_gate(
        [local(tmp_path, "fixture.txt", TOKEN)], (), Allowed(["fixture.txt:secret"]), DigestCache(None)
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_secret_in_a_wide_text_is_found(look, encoding):
    text = f"first line\nHF_TOKEN={TOKEN}\n"
    assert look("notes.txt", text.encode(encoding)) == [("secret", "line 2")]


def test_weights_that_look_like_a_wide_text_are_looked_at_as_they_are(look):
    half = b"\xff\xfe" + noise(4000) + b"\0" + TOKEN.encode() + b"\0" + noise(4000)
    assert [kind for kind, _ in look("w.bin", half)] == ["secret"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env.local", "PASSWORD=S3cr3tPassw0rd99"),
        (".netrc", "machine h login ann password S3cr3tPassw0rd99"),
        ("_netrc", "machine h\n  login ann\n  password S3cr3tPassw0rd99\n"),
        (".npmrc", "//registry/:_authToken=S3cr3tPassw0rd99"),
        (".pypirc", "[pypi]\npassword = S3cr3tPassw0rd99"),
        (".aws/credentials", "[default]\naws_secret_access_key=wJalrXUtnFEMIK7MDENGbPxRfiCY1"),
        ("Dockerfile", "ENV API_KEY=S3cr3tPassw0rd99"),
        ("app.ts", 'const apiKey = "S3cr3tPassw0rd99"'),
        ("SETTINGS.YAML", "password: S3cr3tPassw0rd99"),
    ],
)
def test_files_that_keep_passwords_are_read_by_their_name(look, name, text):
    assert "secret" in [kind for kind, _ in look(name, text)]


def test_what_a_safetensors_file_says_is_read_as_a_configuration(look):
    def said(**metadata):
        tensor = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
        return tensors({"__metadata__": metadata, "w": tensor}, bytes(4))

    assert look("m.safetensors", said(format="pt")) == []
    assert look("m.safetensors", said(password="S3cr3tPassw0rd99")) == [
        ("secret", "__metadata__.json, line 1")
    ]
    nested = json.dumps({"api_key": "S3cr3tPassw0rd99"})
    assert [kind for kind, _ in look("m.safetensors", said(config=nested))] == ["secret"]
    assert look("m.safetensors", said(path="/home/alice/run")) == [
        ("home-path", "__metadata__.json, line 1")
    ]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_configuration_in_an_archive_is_read_by_its_name(look, tmp_path, compression):
    members = {"run/config.json": '{"password": "S3cr3tPassw0rd99"}', "data/0": "x"}
    found = look("m.zip", zipped(tmp_path, members, compression))
    assert found == [("secret", "run/config.json, line 1")]


def test_a_compressed_configuration_is_read_by_the_name_without_its_ending(look):
    text = json.dumps({"password": "S3cr3tPassw0rd99"})
    assert look("a.json.gz", gzip.compress(text.encode())) == [("secret", "line 1")]


@pytest.mark.parametrize("protocol", range(5))
def test_a_password_in_a_pickle_is_found_whatever_its_protocol(look, protocol):
    data = pickle.dumps({"password": "S3cr3tPassw0rd99"}, protocol)
    assert "secret" in [kind for kind, _ in look("args.pkl", data)]


def test_a_password_in_the_second_of_several_pickles_is_found(look):
    data = pickle.dumps(1, 2) + pickle.dumps({"password": "S3cr3tPassw0rd99"}, 2) + noise(500)
    assert "secret" in [kind for kind, _ in look("old.pt", data)]


@pytest.mark.parametrize(
    "where", ["hooks.slack.com/services/T0/B0/", "discord.com/api/webhooks/1/"]
)
def test_a_webhook_in_binary_data_is_found(look, where):
    data = noise(3001) + b"\0https://" + where.encode() + b"x1Y2z3W4v5" * 2 + b"\0" + noise(3000)
    assert [kind for kind, _ in look("w.bin", data)] == ["secret"]
