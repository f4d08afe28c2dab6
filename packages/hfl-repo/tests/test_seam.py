from __future__ import annotations

import ast
import logging
import socket
import threading
from pathlib import Path

import pytest

import hfl_repo
from hfl_auth import AuthManager, InvalidTokenError
from hfl_core import RetryPolicy
from hfl_core.errors import (
    AuthError,
    ConfigError,
    ConflictError,
    DiskSpaceError,
    HflError,
    NetworkError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ValidationError,
)
from hfl_repo import EntryNotFoundError, GatedRepoError, HeadMovedError, RepoManager
from hfl_repo._answer import Answer
from hfl_repo._files import read_file
from hfl_repo._hub import Hub
from hfl_repo._translate import requested_wait

# The two ways to the Hub: a request of ours, and one of HfApi's.
ASKED = {
    "send": lambda hub, target: hub.get(target.api(), target),
    "call": lambda hub, target: hub.call(lambda api: api.repo_info(target.repo_id), target),
}


def test_one_module_imports_huggingface_hub() -> None:
    folder = Path(hfl_repo.__file__).parent
    importers = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.partition(".")[0] == "huggingface_hub" for name in names):
                importers.add(path.relative_to(folder).as_posix())
    assert importers == {"_hub.py"}


def test_its_functions_import_it_when_they_are_called() -> None:
    tree = ast.parse((Path(hfl_repo.__file__).parent / "_hub.py").read_text(encoding="utf-8"))
    eager = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert all("huggingface_hub" not in ast.dump(node) for node in eager)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ValidationError),
        (402, PermissionDeniedError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, ValidationError),
        (408, NetworkError),
        (409, ConflictError),
        (412, HeadMovedError),
        (422, ValidationError),
        (429, RateLimitError),
        (500, NetworkError),
        (503, NetworkError),
        (507, DiskSpaceError),
    ],
)
@pytest.mark.parametrize("through", ["send", "call"])
def test_every_status_becomes_one_of_our_errors(hub, repo, status, kind, through) -> None:
    hub.faults.answer(status, error="because hf_abcdefghijklmnopqrstuvwxyz", times=None)
    with pytest.raises(kind) as caught:
        ASKED[through](repo._hub, repo._target)
    assert "hf_abc" not in str(caught.value)
    assert "***" in str(caught.value) or kind is HeadMovedError
    assert isinstance(caught.value.__cause__, Exception) == (through == "call")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("RepoNotFound", 404, hfl_repo.RepoNotFoundError),
        ("RepoNotFound", 401, hfl_repo.RepoNotFoundError),
        ("RevisionNotFound", 404, hfl_repo.RevisionNotFoundError),
        ("EntryNotFound", 404, EntryNotFoundError),
        ("GatedRepo", 403, GatedRepoError),
        ("InvalidToken", 401, InvalidTokenError),
    ],
)
@pytest.mark.parametrize("through", ["send", "call"])
def test_every_error_code_becomes_one_of_our_errors(hub, repo, code, status, kind, through) -> None:
    hub.faults.answer(status, code=code, times=None)
    target = repo._target.at("main", "model.bin")
    with pytest.raises(kind):
        ASKED[through](repo._hub, target)


def test_a_refused_token_is_named_by_its_place(hub, ann, sign_in) -> None:
    token = hub.create_user("ann")
    hub.revoke_token(token)
    sign_in(token)
    with pytest.raises(InvalidTokenError) as caught:
        RepoManager(ann.new_repo()).info()
    assert "HF_TOKEN" in str(caught.value)
    assert token not in str(caught.value)


def test_a_visitor_is_told_to_sign_in(hub, repo, sign_in) -> None:
    sign_in(None)
    hub.faults.answer(401)
    with pytest.raises(AuthError, match="hfl auth login"):
        RepoManager(repo.repo_id).info()


def test_a_file_that_is_not_there_is_none(repo) -> None:
    assert read_file(repo._hub, repo._target.at("main", "absent")) is None
    assert read_file(repo._hub, repo._target.at("main", ".gitattributes"))


def test_what_may_pass_is_tried_again(hub, repo) -> None:
    hub.faults.answer(503, times=2, path="/api/models/*")
    hub.faults.drop(0, times=1, path="/api/models/*")
    assert repo.info().repo_id == repo.repo_id


def test_what_does_not_pass_is_not(hub, repo, asked) -> None:
    hub.faults.answer(403, times=None, path="/api/models/*")
    seen = asked()
    with pytest.raises(PermissionDeniedError):
        repo.info()
    assert len(seen()) == 1


def test_a_rate_limit_is_waited_out_as_long_as_the_hub_asks(hub, repo) -> None:
    waited = []
    repo._hub.retry = RetryPolicy(attempts=3, base_delay=0.001, sleep=waited.append)
    hub.faults.answer(429, retry_after=17, times=2, path="/api/models/*")
    repo.info()
    assert waited == [17, 17]


def test_a_wait_that_is_too_long_is_not_begun(hub, repo) -> None:
    repo._hub.retry = RetryPolicy(timeout=60, sleep=lambda _seconds: pytest.fail("waited"))
    hub.faults.answer(429, retry_after=271, times=None, path="/api/models/*")
    with pytest.raises(RateLimitError) as caught:
        repo.info()
    assert caught.value.retry_after == 271
    assert any("271" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("headers", "text", "wait"),
    [
        ({}, "", None),
        ({"retry-after": "12"}, "", 12),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:30 GMT"}, "", 20),
        ({"retry-after": "soon"}, "", None),
        ({"ratelimit": '"api";r=0;t=55'}, "", 55),
        ({"ratelimit": '"api";r=3;t=55'}, "", None),
        ({"retry-after": "271"}, "128 commits per hour. Retry in 40 minutes.", 2400),
        ({"retry-after": "271"}, "You may do 128 commits per 1 hour.", 271),
        ({}, "Please try again in about 1 hour", 3600),
    ],
)
def test_the_longest_wait_that_the_hub_asks_for_counts(headers, text, wait) -> None:
    body = b'{"error": "%s"}' % text.encode()
    assert requested_wait(Answer(429, headers, body), now=lambda: 10.0) == wait


def test_a_hub_that_says_nothing_is_given_up(hub, repo) -> None:
    stalled = hub.faults.stall(path="/api/models/*", times=None)
    repo._hub.retry = RetryPolicy(attempts=1)
    repo._hub.timeout = 0.2
    with pytest.raises(NetworkError, match="did not answer in time"):
        repo.info()
    stalled.release()


def test_a_hub_that_is_not_there_is_unreachable(ann, sign_in, monkeypatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    hub = Hub(AuthManager(endpoint=f"http://127.0.0.1:{port}", token=ann.token).credential())
    hub.retry = RetryPolicy(attempts=2, base_delay=0)
    for ask in (lambda: hub.get("/api/models"), lambda: hub.call(lambda api: api.whoami())):
        with pytest.raises(NetworkError, match="cannot be reached"):
            ask()


@pytest.fixture
def stranger():
    """Something that listens and gives the same answer to every request."""
    stops = []

    def serve(head, body):
        listener = socket.create_server(("127.0.0.1", 0))
        answer = (
            f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )

        def run():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer.encode() + body)

        thread = threading.Thread(target=run)
        thread.start()
        stops.append((listener, thread))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    for listener, thread in stops:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def test_something_else_than_a_hub_is_noticed(stranger, sign_in) -> None:
    sign_in(None)
    with pytest.raises(NetworkError, match="not what a Hub sends"):
        RepoManager("ann/digits", endpoint=stranger("", b"<html>")).info()


def test_a_next_page_elsewhere_does_not_get_the_token(stranger, sign_in) -> None:
    sign_in(None)
    endpoint = stranger('Link: <http://evil.example/x>; rel="next"\r\n', b"[1]")
    pages = RepoManager(endpoint=endpoint)._hub.pages("/api/models")
    assert next(pages) == 1
    with pytest.raises(NetworkError, match=r"evil\.example"):
        next(pages)


@pytest.mark.parametrize("endpoint", ["nonsense", "ftp://hub.example", "http://"])
def test_an_endpoint_that_is_none_is_refused(endpoint) -> None:
    with pytest.raises(ConfigError):
        RepoManager("ann/digits", endpoint=endpoint).info()


def test_an_endpoint_with_a_password_is_refused_without_showing_it(hub, sign_in) -> None:
    sign_in(None)
    bad = hub.endpoint.replace("://", "://ann:sesame@")
    with pytest.raises(ConfigError) as caught:
        RepoManager("ann/digits", endpoint=bad).info()
    assert "sesame" not in str(caught.value)


def test_the_network_can_be_switched_off(repo, monkeypatch, asked) -> None:
    monkeypatch.setenv("HFL_OFFLINE", "1")
    seen = asked()
    offline = RepoManager(repo.repo_id)
    for ask in (offline.info, lambda: offline._hub.call(lambda api: api.whoami())):
        with pytest.raises(NetworkError, match="HFL_OFFLINE"):
            ask()
    assert seen() == []


def test_no_name_that_huggingface_hub_refuses_gets_out_untranslated(repo) -> None:
    with pytest.raises(ValidationError):
        repo._hub.call(lambda api: api.repo_info("a/b/c"))


def test_another_profile_in_a_block_is_who_acts(hub, bob, ann, sign_in, monkeypatch) -> None:
    monkeypatch.setenv("HFL_ENDPOINT", hub.endpoint)
    sign_in(None)
    auth = AuthManager(endpoint=hub.endpoint)
    auth.login(ann.token, profile="work")
    auth.login(bob.token, profile="home")
    repo = RepoManager("mine")
    with auth.use("work"):
        assert repo.repo_id == "ann/mine"
    with auth.use("home"):
        assert repo.repo_id == "bob/mine"
    assert RepoManager("mine", profile="work").repo_id == "ann/mine"


def test_errors_are_ours_whatever_goes_wrong(hub, repo, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    for status in range(400, 600, 7):
        hub.faults.clear()
        hub.faults.answer(status, times=None, path="/api/models/*")
        with pytest.raises(HflError):
            repo.info()


def test_what_libraries_below_raise_becomes_ours(repo) -> None:
    from huggingface_hub import errors

    raised = [
        (errors.LocalTokenNotFoundError("no"), AuthError),
        (errors.OfflineModeIsEnabled("off"), NetworkError),
        (ConnectionResetError("xet"), NetworkError),
        (TimeoutError("xet"), NetworkError),
        (DiskSpaceError("full"), DiskSpaceError),
    ]
    for error, kind in raised:
        with pytest.raises(kind), repo._hub.translated():
            raise error


def test_answers_without_a_repository_are_understood(hub, sign_in, ann) -> None:
    sign_in(ann.token)
    for status, kind in ((404, NotFoundError), (412, ConflictError), (503, RateLimitError)):
        hub.faults.clear()
        hub.faults.answer(status, retry_after=1 if status == 503 else None, times=None)
        with pytest.raises(kind):
            RepoManager()._hub.send_once("GET", "/api/models")


def test_every_shape_of_an_error_is_read() -> None:
    text = Answer(400, {"x-error-message": "a"}, b'{"error": ["a", "b"]}').error_text
    assert text == "a; b"
    assert Answer(400, {}, b'{"errors": [{"message": "c"}, "d"]}').error_text == "c; d"
    assert Answer(400, {}, b"<html>").error_text == ""
    assert Answer(400, {}, b"[1]").error_text == ""
