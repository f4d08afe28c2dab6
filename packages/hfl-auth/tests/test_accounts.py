"""Signing in and out, several accounts, and the files they are kept in."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest

from hfl_auth import (
    AuthManager,
    InsecureFileError,
    InvalidTokenError,
    MalformedTokenError,
    ProfileNotFoundError,
    TokenNotFoundError,
)
from hfl_auth._credential import Secret
from hfl_auth._endpoints import PUBLIC
from hfl_auth._records import Record, dump_records, parse_records
from hfl_auth._store import TokenStore
from hfl_core.errors import ConflictError, IntegrityError, PermissionDeniedError, ValidationError

REAL = "hf_" + "Real" * 8
OTHER = "hf_" + "Othr" * 8

needs_posix = pytest.mark.skipif(os.name == "nt", reason="permission bits are POSIX")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def save(name, token, endpoint=PUBLIC):
    TokenStore().save(name, Record(endpoint, "file", name), Secret(token))


def test_signing_in_keeps_the_token_and_uses_it(hub, ann):
    auth = AuthManager(endpoint=hub.endpoint)
    profile = auth.login(f" Bearer {ann}\n", profile="work")
    assert (profile.name, profile.account, profile.storage) == ("work", "ann", "file")
    assert profile.is_active
    assert ann not in repr(profile)
    assert AuthManager().credential().token == ann


def test_without_a_name_the_token_s_name_on_the_hub_is_taken(hub):
    token = hub.create_user("fay", token_name="fay's laptop")
    assert AuthManager(endpoint=hub.endpoint).login(token).name == "fay's laptop"


def test_a_token_with_an_impossible_name_still_gets_a_profile(hub):
    token = hub.create_user("gus", token_name="[gus]")
    assert AuthManager(endpoint=hub.endpoint).login(token).name == "token-gus"


@pytest.mark.parametrize("token", ["hf_" + "Wrong" * 6, "not a token"])
def test_a_token_that_does_not_work_changes_nothing(token, hub, ann, store):
    auth = AuthManager(endpoint=hub.endpoint)
    auth.login(ann, profile="work")
    before = {path.name: path.read_bytes() for path in store.iterdir()}
    with pytest.raises((InvalidTokenError, MalformedTokenError)):
        auth.login(token, profile="work")
    assert {path.name: path.read_bytes() for path in store.iterdir()} == before


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a]b", "DEFAULT"])
def test_a_name_that_would_break_the_file_is_refused(name, hub, ann):
    with pytest.raises(ValidationError, match="cannot be the name"):
        AuthManager(endpoint=hub.endpoint).login(ann, profile=name)


def test_profiles_are_listed_switched_and_removed(two_profiles, hub, ann, bob):
    auth = two_profiles
    assert [(each.name, each.is_active) for each in auth.profiles()] == [
        ("ann", True),
        ("bob", False),
    ]
    assert auth.switch("bob").is_active
    assert AuthManager().credential().token == bob
    assert auth.logout() == "bob"
    assert [each.name for each in auth.profiles()] == ["ann"]
    assert auth.credential().token is None  # nobody was chosen in its place
    assert auth.logout("ann") == "ann"
    for action in (lambda: auth.logout("ann"), lambda: auth.switch("ann")):
        with pytest.raises(ProfileNotFoundError, match="None exists yet"):
            action()
    with pytest.raises(TokenNotFoundError):
        auth.logout()


def test_a_token_file_without_a_profile_can_be_signed_out(store):
    store.mkdir(parents=True)
    (store / "token").write_text(REAL)
    (store / "token").chmod(0o600)
    assert AuthManager().logout() == "the token file"
    assert not (store / "token").exists()


@needs_posix
def test_all_files_are_for_their_owner_alone(store):
    old = os.umask(0)
    try:
        save("work", REAL)
    finally:
        os.umask(old)
    assert {path.name: mode(path) for path in store.iterdir()} == {
        "token": 0o600,
        "stored_tokens": 0o600,
        "hfl_profiles.json": 0o600,
        "stored_tokens.lock": 0o600,
    }
    assert mode(store) == 0o700


@needs_posix
@pytest.mark.parametrize("bits", [0o644, 0o640, 0o606, 0o620])
@pytest.mark.parametrize("name", ["token", "stored_tokens", "hfl_profiles.json"])
def test_a_file_that_others_can_read_is_refused_with_the_command_that_mends_it(
    name, bits, store, home
):
    save("work", REAL)
    (store / name).chmod(bits)
    auth = AuthManager("work" if name == "stored_tokens" else None)
    if name == "token":
        (store / "hfl_profiles.json").unlink()
    with pytest.raises(InsecureFileError, match=f"mode {bits:o}") as caught:
        auth.credential()
    command = caught.value.hint.partition(": ")[2]
    subprocess.run(command, shell=True, check=True, env={**os.environ, "HOME": str(home)})
    assert auth.credential().token == REAL


@needs_posix
def test_nothing_is_written_over_a_file_that_others_can_change(store):
    save("work", REAL)
    (store / "stored_tokens").chmod(0o666)
    with pytest.raises(InsecureFileError):
        save("home", OTHER)
    assert "home" not in (store / "stored_tokens").read_text()


@needs_posix
def test_an_insecure_file_does_not_matter_where_it_is_not_asked(store, monkeypatch):
    save("work", REAL)
    (store / "stored_tokens").chmod(0o644)
    monkeypatch.setenv("HF_TOKEN", OTHER)
    assert AuthManager().credential().token == OTHER
    assert {each.source: each.status for each in AuthManager().explain()}["profile"] == "refused"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("stored_tokens", f"hf_token = {REAL}\n"),
        ("stored_tokens", f"[a]\nhf_token = {REAL}\n[a]\nhf_token = {OTHER}\n"),
        ("stored_tokens", b"\xff\xfe\x00"),
        ("hfl_profiles.json", "{"),
        ("hfl_profiles.json", '{"format": 99}'),
        ("hfl_profiles.json", '{"format": 1, "profiles": []}'),
        ("hfl_profiles.json", '{"format": 1, "profiles": {"a": 1}}'),
    ],
)
def test_a_damaged_file_is_reported_and_left_as_it_is(name, content, store):
    save("work", REAL)
    raw = content if isinstance(content, bytes) else content.encode()
    (store / name).write_bytes(raw)
    with pytest.raises(IntegrityError, match="cannot be understood") as caught:
        AuthManager("work").credential()
    assert REAL not in str(caught.value)
    with pytest.raises(IntegrityError):
        save("home", OTHER)
    assert (store / name).read_bytes() == raw


def test_a_place_that_is_no_file_is_reported(store):
    (store / "stored_tokens").mkdir(parents=True)
    with pytest.raises(PermissionDeniedError, match="cannot be read"):
        AuthManager("work").credential()


def test_a_folder_that_cannot_be_made_is_reported(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file" / "below"))
    with pytest.raises((PermissionDeniedError, OSError)):
        save("work", REAL)


def test_a_link_in_place_of_a_file_stays_a_link(store, tmp_path):
    store.mkdir(parents=True)
    (store / "token").symlink_to(tmp_path / "elsewhere")
    save("work", REAL)
    assert (store / "token").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == REAL


def test_the_records_survive_being_written_and_read():
    records = parse_records('{"format": 1, "profiles": {}, "homes": {}, "active": {}, '
                            '"endpoint": "http://a", "token_file": null}')  # fmt: skip
    records.profiles["x"] = Record("http://a", "keyring", "ann", 5)
    assert parse_records(dump_records(records)) == records


def test_our_records_hold_no_token(store):
    save("work", REAL)
    assert REAL not in (store / "hfl_profiles.json").read_text()


# -- together with huggingface_hub ------------------------------------------------------------


def test_huggingface_hub_sees_our_profiles_and_we_see_its_switch(store, run_python):
    save("work", REAL)
    save("home", OTHER)
    listed = run_python(
        "from huggingface_hub.utils import get_stored_tokens, get_token; import json;"
        "print(json.dumps([get_stored_tokens(), get_token()]))"
    )
    assert json.loads(listed) == [{"home": OTHER, "work": REAL}, OTHER]
    run_python("from huggingface_hub import auth_switch; auth_switch('work')")
    (store / "token").chmod(0o600)  # 0.36 leaves it to the umask
    credential = AuthManager().credential()
    assert (credential.token, credential.profile, credential.source) == (REAL, "work", "token file")
    assert [each.name for each in AuthManager().profiles() if each.is_active] == ["work"]
    AuthManager().switch("home")
    token = run_python("from huggingface_hub.utils import get_token; print(get_token())")
    assert token.strip() == OTHER


def test_a_logout_of_huggingface_hub_signs_out_here(store, run_python):
    save("work", REAL)
    run_python("from huggingface_hub import logout; logout()")
    assert AuthManager().credential().token is None
    assert AuthManager().profiles() == []


def test_our_logout_signs_huggingface_hub_out(store, run_python):
    save("work", REAL)
    AuthManager().logout()
    token = run_python("from huggingface_hub.utils import get_token; print(get_token())")
    assert token.strip() == "None"


def test_fields_of_other_profiles_are_kept(store):
    store.mkdir(parents=True)
    (store / "stored_tokens").write_text(
        f"[oauth-x]\nhf_token = {OTHER}\nrefresh_token = 100%r\nexpires_at = 99999999999\nnew = 1\n"
    )
    (store / "stored_tokens").chmod(0o600)
    save("work", REAL)
    text = (store / "stored_tokens").read_text()
    for line in ("refresh_token = 100%r", "expires_at = 99999999999", "new = 1"):
        assert line in text
    assert AuthManager("oauth-x").credential().expires_at is not None


# -- several at once --------------------------------------------------------------------------

LOGIN = """
import sys
from hfl_auth import AuthManager
for number in range(5):
    AuthManager(endpoint=sys.argv[1]).login(sys.argv[2], profile=f"{sys.argv[3]}-{number}")
"""


def start(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=dict(os.environ))


def test_processes_that_sign_in_at_once_lose_nothing(hub, ann, bob):
    processes = [
        start(LOGIN, hub.endpoint, token, name) for name, token in (("ann", ann), ("bob", bob))
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    profiles = AuthManager().profiles()
    expected = [f"{name}-{number}" for name in ("ann", "bob") for number in range(5)]
    assert [each.name for each in profiles] == expected
    assert {each.endpoint for each in profiles} == {hub.endpoint}
    assert [each.account for each in profiles] == ["ann"] * 5 + ["bob"] * 5


CHURN = """
import sys
from hfl_auth._credential import Secret
from hfl_auth._records import Record
from hfl_auth._store import TokenStore
store = TokenStore()
print("going", flush=True)
for number in range(60):
    store.save("x", Record("http://127.0.0.1:1", "file", "x"), Secret("hf_" + f"{number:04d}" * 8))
    store.remove("x")
"""


def test_a_token_is_never_seen_without_its_hub_while_others_write(store):
    process = subprocess.Popen(
        [sys.executable, "-c", CHURN], env=dict(os.environ), stdout=subprocess.PIPE
    )
    process.stdout.readline()
    seen = set()
    while process.poll() is None:
        seen.update(each.endpoint for each in TokenStore().snapshot().profiles().values())
    process.stdout.close()
    assert process.returncode == 0
    assert seen <= {"http://127.0.0.1:1"}


def test_a_process_that_dies_while_writing_leaves_a_token_with_its_hub(store, run_python):
    code = """
import os, sys
import hfl_auth._store as module
from hfl_auth._credential import Secret
from hfl_auth._records import Record
real, left = module.write_private, int(sys.argv[1])
def dying(path, text):
    global left
    if left == 0:
        os._exit(0)
    left -= 1
    real(path, text)
module.write_private = dying  # the process is killed before its n-th write
module.TokenStore().save("new", Record("http://127.0.0.1:1", "file", "x"), Secret("hf_" + "Newt" * 8))
"""
    for count in range(4):
        run_python(code, str(count))
        for profile in TokenStore().snapshot().profiles().values():
            assert profile.endpoint == "http://127.0.0.1:1"


def test_a_lock_that_is_not_let_go_of_is_reported(store, monkeypatch):
    import filelock

    from hfl_auth import _secret_files

    save("work", REAL)
    monkeypatch.setattr(_secret_files, "_PATIENCE", 0.05)
    lock = filelock.FileLock(str(store / "stored_tokens.lock"))
    with lock, pytest.raises(ConflictError, match="Another process"):
        save("home", OTHER)
    save("home", OTHER)


WHOAMI = """
import sys
from hfl_auth import AuthManager
auth = AuthManager(sys.argv[1])
print(",".join(sorted({auth.whoami(refresh=True).name for _ in range(10)})))
"""


def test_processes_with_different_profiles_do_not_disturb_each_other(two_profiles):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WHOAMI, name],
            env=dict(os.environ), stdout=subprocess.PIPE, encoding="utf-8",
        )
        for name in ("ann", "bob")
    ]  # fmt: skip
    for name in ("bob", "ann", "bob"):
        two_profiles.switch(name)
    answers = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert answers == ["ann", "bob"]
