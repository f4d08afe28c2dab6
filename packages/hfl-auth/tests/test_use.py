"""Acting as a profile inside a block, and nowhere else."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from hfl_auth import AuthManager, ProfileNotFoundError


def name_of(auth):
    return auth.credential().profile


def test_a_block_runs_as_a_profile_and_changes_nothing_else(two_profiles, store):
    files = {path.name: path.read_bytes() for path in store.iterdir()}
    environment = dict(os.environ)
    with two_profiles.use("bob") as auth:
        assert auth is two_profiles
        assert auth.whoami().name == "bob"
        assert auth.credential().source == "argument"
        assert "use()" in auth.credential().detail
        assert AuthManager().whoami().name == "bob"
        assert {path.name: path.read_bytes() for path in store.iterdir()} == files
        assert dict(os.environ) == environment
    assert two_profiles.whoami().name == "ann"


def test_blocks_nest_and_end_with_an_error(two_profiles):
    auth = two_profiles
    with auth.use("bob"):
        with auth.use("ann"):
            assert name_of(auth) == "ann"
        assert name_of(auth) == "bob"
        with pytest.raises(RuntimeError), auth.use("ann"):
            raise RuntimeError
        assert name_of(auth) == "bob"
    assert auth.credential().source == "profile"


def test_who_was_made_for_a_profile_stays_with_it_unless_asked_itself(two_profiles):
    own = AuthManager("ann")
    with two_profiles.use("bob"):
        assert name_of(own) == "ann"
        with own.use("bob"):
            assert name_of(own) == "bob"
    with own.use("bob"):
        assert name_of(own) == "bob"
    assert name_of(own) == "ann"


def test_it_comes_before_the_environment(two_profiles, monkeypatch):
    monkeypatch.setenv("HFL_PROFILE", "ann")
    with two_profiles.use("bob"):
        assert name_of(AuthManager()) == "bob"


def test_a_profile_that_does_not_exist_is_refused_at_once(two_profiles):
    with pytest.raises(ProfileNotFoundError, match="ann, bob"), two_profiles.use("wrk"):
        raise AssertionError


def test_threads_do_not_leak_into_each_other(two_profiles):
    both_inside = threading.Barrier(3)
    seen = {}

    def work(profile):
        with AuthManager().use(profile):
            both_inside.wait(30)
            seen[profile] = name_of(AuthManager())
            both_inside.wait(30)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("ann", "bob")]
    for thread in threads:
        thread.start()
    both_inside.wait(30)
    seen["main"] = AuthManager().credential().source
    both_inside.wait(30)
    for thread in threads:
        thread.join()
    assert seen == {"ann": "ann", "bob": "bob", "main": "profile"}


def test_tasks_do_not_leak_into_each_other(two_profiles):
    async def work(profile, mine, other):
        with AuthManager().use(profile):
            mine.set()
            await other.wait()  # now both are inside
            return name_of(AuthManager())

    async def main():
        a, b = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(work("ann", a, b), work("bob", b, a))

    assert asyncio.run(main()) == ["ann", "bob"]
    assert AuthManager().credential().source == "profile"
