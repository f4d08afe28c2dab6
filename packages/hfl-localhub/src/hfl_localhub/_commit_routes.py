"""Commit to a branch, or as a pull request."""

from __future__ import annotations

from starlette.responses import Response

from hfl_localhub import _discussions
from hfl_localhub._call import Call, answer, as_number
from hfl_localhub._commits import land, read_proposal
from hfl_localhub._routing import Router

__all__ = ["add_routes"]


def add_routes(router: Router) -> None:
    """Add this module's routes."""
    router.add("POST", "/api/{T}/{ns}/{name}/commit/{rev}", commit, "spool")


def commit(call: Call) -> Response:
    """Land a commit: whole or not at all."""
    as_pull_request = call.flag("create_pr")
    revision = call.params["rev"]
    repo = call.repo("contribute" if as_pull_request or _is_own(call) else "write")
    author = call.signed_in().name
    with repo.git.open() as git:
        call.revision(git)  # an unknown branch is told before a large body is read
        proposal = read_proposal(call.spooled_body(), git, repo, call.hub.blobs)
        with repo.changing():
            number = _discussions.next_number(repo, git) if as_pull_request else None
            onto = f"refs/pr/{number}" if number is not None else None
            landed = land(git, repo, proposal, revision=revision, author=author, onto=onto)
            if number is not None:
                opened = _discussions.open_pull_request(
                    number, proposal.summary, proposal.description, author=author, base=revision
                )
                _discussions.save(repo, opened)
    url = call.url(f"/{repo.web_path}")
    body = {
        "success": True,
        "commitOid": landed.commit,
        "commitUrl": f"{url}/commit/{landed.commit}",
        "hookOutput": "",
    }
    if number is not None:
        body["pullRequestUrl"] = f"{url}/discussions/{number}"
    return answer(body)


def _is_own(call: Call) -> bool:
    """Whether the revision is a pull request of who asks: the author may go on with it."""
    revision = call.params["rev"]
    number = as_number(revision[len("refs/pr/") :])
    if not revision.startswith("refs/pr/") or number is None:
        return False
    found = _discussions.load(call.repo("contribute"), number)
    return found is not None and found["author"]["name"] == call.signed_in().name
