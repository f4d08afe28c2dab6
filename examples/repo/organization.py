"""A repository of an organization: who may do what, and why not.

python examples/repo/organization.py
"""

from __future__ import annotations

import os

from _hub import signed_in

from hfl_core.errors import PermissionDeniedError
from hfl_repo import RepoManager

with signed_in("lab") as hub:
    repo = RepoManager("lab/digits", repo_type="dataset")
    repo.create(license="cc-by-4.0")
    print("A member: ", repo.permissions().reason)

    # Somebody who does not belong to the organization.
    os.environ["HF_TOKEN"] = hub.create_user("bob")
    guest = RepoManager("lab/digits", repo_type="dataset")
    rights = guest.permissions()
    print("A stranger:", rights.reason)
    assert (rights.read, rights.write) == (True, False)

    # It is refused here, before anything is sent, with the account and where it may write.
    try:
        guest.create_tag("mine")
    except PermissionDeniedError as error:
        print("Refused:  ", error.message)

    # But anybody may propose a change.
    proposal = guest.update_card({"tags": ["digits"]}, create_pr=True)
    print("Proposed: ", proposal.pull_request)
    assert guest.card("refs/pr/1").metadata["tags"] == ["digits"]

    # Put away what nobody needs any more; it can be brought back as it was.
    os.environ["HF_TOKEN"] = hub.create_user("ann")
    assert repo.archive().is_private
    assert not repo.unarchive().is_private
