from __future__ import annotations

import json
import threading

import pytest


def in_threads(count, work):
    errors = []

    def guarded(number):
        try:
            work(number)
        except BaseException as error:  # the test's thread raises it
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert not errors, errors


def test_eight_writers_with_parents_lose_nothing(ann):
    repo, statuses = ann.new_repo(), []

    def write(number):
        for index in range(5):
            while True:
                head = ann.head_of(repo)
                answer = ann.commit(repo, {f"{number}/{index}": b"x"}, parent=head)
                statuses.append(answer.status)
                if answer.status == 200:
                    break

    in_threads(8, write)
    assert set(statuses) <= {200, 412}
    assert statuses.count(200) == 40
    files = {path for path, item in ann.paths(repo).items() if item["type"] == "file"}
    assert files == {f"{n}/{i}" for n in range(8) for i in range(5)} | {".gitattributes"}
    assert len(ann.get(f"/api/models/{repo}/commits/main?limit=1000").json()) == 41


def test_eight_writers_without_parents_all_land(ann):
    repo = ann.new_repo()

    def write(number):
        for index in range(4):
            assert ann.commit(repo, {f"{number}-{index}": b"x"}).status == 200

    in_threads(8, write)
    assert len(ann.paths(repo)) == 33


def test_the_same_file_from_eight_writers_is_stored_once(ann):
    data, before = b"the same for all" * 10_000, ann.hub.used_storage()

    def write(number):
        repo = ann.new_repo()
        assert ann.commit_large(repo, {"w.bin": data}).status == 200
        assert ann.get(f"/{repo}/resolve/main/w.bin").body == data

    in_threads(8, write)
    assert ann.hub.used_storage() - before == len(data)


def test_readers_never_see_a_part_of_a_commit(ann):
    """Each commit writes the same number into two files; a reader at one commit sees one number."""
    repo, done = ann.new_repo(), threading.Event()
    ann.commit(repo, {"a": b"0", "b": b"0"})

    def work(number):
        if number == 0:
            for index in range(1, 25):
                content = str(index).encode()
                assert ann.commit(repo, {"a": content, "b": content}).status == 200
                if index % 8 == 0:
                    url = f"/api/models/{repo}/super-squash/main"
                    assert ann.call("POST", url, {}).status == 200
            done.set()
            return
        while not done.is_set():
            commit = ann.head_of(repo)
            answers = [ann.get(f"/{repo}/resolve/{commit}/{name}") for name in "ab"]
            # A squash may have removed that commit meanwhile; then it is gone as a whole.
            found = {answer.body for answer in answers if answer.status == 200}
            assert len(found) <= 1, found
            assert {answer.status for answer in answers} <= {200, 404}

    in_threads(4, work)


def test_uploads_and_deletions_of_one_file_do_not_lose_it(ann):
    """One repository deletes the file for good over and over; the other must always have it."""
    keeper, data = ann.new_repo(), b"kept by one" * 1000
    oid = ann.upload_large(keeper, data)
    ann.commit_large(keeper, {"w.bin": data})

    def work(number):
        repo = ann.new_repo()
        for _ in range(5):
            ann.commit_large(repo, {"w.bin": data})
            body = {"deletions": {"sha": [oid], "rewriteHistory": bool(number % 2)}}
            assert ann.call("POST", f"/api/models/{repo}/lfs-files/batch", body).status == 200

    in_threads(4, work)
    assert ann.get(f"/{keeper}/resolve/main/w.bin").body == data


def test_a_repository_is_created_once_by_eight_at_a_time(ann):
    statuses = []

    def create(number):
        answer = ann.call("POST", "/api/repos/create", {"name": "contested"})
        statuses.append(answer.status)

    in_threads(8, create)
    assert sorted(statuses) == [200] + [409] * 7


def test_moving_and_deleting_while_others_commit_ends_cleanly(ann):
    for action in ("move", "delete"):
        repo, codes = ann.new_repo(), []

        def work(number, repo=repo, codes=codes, action=action):
            if number:
                for index in range(10):
                    codes.append(ann.commit(repo, {f"{number}-{index}": b"x"}).status)
            elif action == "move":
                body = {"fromRepo": repo, "toRepo": f"{repo}-moved"}
                codes.append(ann.call("POST", "/api/repos/move", body).status)
            else:
                body = {"name": repo.split("/")[1]}
                codes.append(ann.call("DELETE", "/api/repos/delete", body).status)

        in_threads(4, work)
        assert set(codes) <= {200, 404, 409}, codes
        if action == "move":
            landed = codes.count(200) - 1
            assert len(ann.paths(f"{repo}-moved")) == landed + 1


@pytest.mark.parametrize("count", [8])
def test_numbers_of_discussions_are_given_once(ann, count):
    repo, numbers = ann.new_repo(), []

    def ask(number):
        body = {"title": f"Question {number}", "pullRequest": bool(number % 2)}
        answer = ann.call("POST", f"/api/models/{repo}/discussions", body)
        numbers.append(json.loads(answer.body)["num"])

    in_threads(count, ask)
    assert sorted(numbers) == list(range(1, count + 1))
