"""Create a repository, and let nothing go to one that is not what was meant.

python examples/repo/create.py
"""

from __future__ import annotations

from _hub import signed_in

from hfl_repo import RepoExistsError, RepoManager, VisibilityMismatchError

with signed_in():
    repo = RepoManager("ann/digits")
    found = repo.create(private=True, license="mit", tags=["digits"])
    print(f"{found.repo_id}: private {found.is_private}, licence {found.license}")

    # The next run of the same script takes what is there.
    assert repo.create(private=True, license="mit", tags=["digits"]) == found

    # A script that means a public one is stopped before it sends a byte.
    try:
        repo.create(private=False)
    except VisibilityMismatchError as error:
        print(error.message)

    # Two other ways to deal with a name that is taken.
    try:
        repo.create(on_conflict="fail")
    except RepoExistsError as error:
        print(error.message)
    other = RepoManager("ann/digits").create(on_conflict="rename")
    print("The next free name:", other.repo_id)

    RepoManager(other.repo_id).delete(confirm=other.repo_id)
    assert [each.repo_id for each in RepoManager().list()] == ["ann/digits"]
