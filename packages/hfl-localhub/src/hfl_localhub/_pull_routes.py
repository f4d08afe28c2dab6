"""Discussions and pull requests."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from hfl_localhub import _discussions
from hfl_localhub._access import check_repo
from hfl_localhub._call import Call, answer, as_number
from hfl_localhub._errors import HubError, bad_request, conflict, forbidden
from hfl_localhub._git import GitSession
from hfl_localhub._merge import diff_text, merge
from hfl_localhub._repos import Repo
from hfl_localhub._routing import Router

__all__ = ["add_routes"]

_PAGE = 50
_LONGEST_TITLE = 200


def add_routes(router: Router) -> None:
    """Add this module's routes."""
    base = "/api/{T}/{ns}/{name}/discussions"
    router.add("GET", base, listing)
    router.add("POST", base, create, "small")
    router.add("GET", base + "/{number}", details)
    router.add("POST", base + "/{number}/comment", comment, "small")
    router.add("POST", base + "/{number}/comment/{event}/edit", edit_comment, "small")
    router.add("POST", base + "/{number}/comment/{event}/hide", hide_comment, "small")
    router.add("POST", base + "/{number}/title", retitle, "small")
    router.add("POST", base + "/{number}/status", change_status, "small")
    router.add("POST", base + "/{number}/merge", merge_pull_request, "small")


def listing(call: Call) -> Response:
    """List discussions and pull requests, newest first."""
    repo = call.repo()
    found = [discussion for discussion in _discussions.every(repo) if _is_wanted(call, discussion)]
    start = call.position("p") * _PAGE
    shown = [_brief(repo, discussion) for discussion in found[start : start + _PAGE]]
    closed = sum(discussion["status"] in ("closed", "merged") for discussion in found)
    return answer(
        {"discussions": shown, "count": len(found), "start": start, "numClosedDiscussions": closed}
    )


def _is_wanted(call: Call, discussion: dict[str, Any]) -> bool:
    kind, status, author = call.one("type"), call.one("status"), call.one("author")
    is_open = discussion["status"] in ("open", "draft")
    has_kind = kind not in ("discussion", "pull_request") or (
        discussion["isPullRequest"] == (kind == "pull_request")
    )
    has_status = status not in ("open", "closed") or is_open == (status == "open")
    return has_kind and has_status and author in (None, discussion["author"]["name"])


def _brief(repo: Repo, discussion: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in discussion.items() if name not in ("events", "changes")}
    return {**shown, "repo": {"name": repo.id, "type": repo.type}}


def create(call: Call) -> Response:
    """Open a discussion, or a draft of a pull request onto ``main``."""
    repo, author = call.repo("contribute"), call.signed_in().name
    title, text = _title(call), call.text("description", "")
    with repo.git.open() as git, repo.changing():
        number = _discussions.next_number(repo, git)
        if call.json.get("pullRequest"):
            git.move_ref(f"refs/pr/{number}", None, call.revision(git, "main"))
            opened = _discussions.open_pull_request(
                number, title, text, author=author, base="main", status="draft"
            )
        else:
            opened = _discussions.open_discussion(number, title, text, author=author)
        _discussions.save(repo, opened)
    url = call.url(f"/{repo.web_path}/discussions/{number}")
    return answer({"num": number, "url": url, "pullRequest": opened["isPullRequest"]})


def details(call: Call) -> Response:
    """Show a discussion with all that was said and, for a pull request, what it changes."""
    repo = call.repo()
    discussion = _find(call, repo)
    shown = {**discussion, "repo": {"name": repo.id, "type": repo.type}}
    if discussion["isPullRequest"]:
        with repo.git.open() as git:
            _add_changes(git, discussion, shown)
    return answer(shown)


def _add_changes(git: GitSession, discussion: dict[str, Any], shown: dict[str, Any]) -> None:
    head = git.ref(f"refs/pr/{discussion['num']}")
    base = git.resolve(discussion["changes"]["base"])
    if head is None or base is None:
        shown.update(filesWithConflicts=[], diff="")
        return
    result = merge(git, base, head)
    shown["filesWithConflicts"] = list(result.conflicts)
    shown["diff"] = diff_text(git, result.base, head)
    commits = []
    for commit in git.history(head):
        if commit.id == result.base:
            break
        commits.append(
            {
                "id": commit.id,
                "type": "commit",
                "createdAt": _discussions.moment(commit.time),
                "author": {"name": commit.author},
                "data": {"subject": commit.title, "oid": commit.id},
            }
        )
    events = [*shown["events"], *reversed(commits)]
    # Commits are dated to the second; within one, what was said comes first.
    shown["events"] = sorted(events, key=lambda event: str(event["createdAt"])[:19])


def comment(call: Call) -> Response:
    """Say something."""
    repo, author = call.repo("contribute"), call.signed_in().name
    data = _discussions.comment_data(call.text("comment"))
    with repo.changing():
        discussion = _find(call, repo)
        event = _discussions.add_event(discussion, "comment", author, data)
        _discussions.save(repo, discussion)
    return answer({"newMessage": event})


def edit_comment(call: Call) -> Response:
    """Say it differently."""
    text = call.text("content")

    def change(data: dict[str, Any]) -> None:
        data.update(_discussions.comment_data(text), edited=True, numEdits=data["numEdits"] + 1)

    return _change_comment(call, change)


def hide_comment(call: Call) -> Response:
    """Take it back."""
    return _change_comment(call, lambda data: data.update(hidden=True))


def _change_comment(call: Call, change: Any) -> Response:
    repo = call.repo("contribute")
    with repo.changing():
        discussion = _find(call, repo)
        for event in discussion["events"]:
            if event["id"] == call.params["event"] and event["type"] == "comment":
                _check_author(call, repo, event["author"]["name"])
                change(event["data"])
                _discussions.save(repo, discussion)
                return answer({"updatedComment": event})
    raise HubError(404, "There is no such comment.", code="CommentNotFound")


def retitle(call: Call) -> Response:
    """Change the title."""
    repo, author, title = call.repo("contribute"), call.signed_in().name, _title(call)
    with repo.changing():
        discussion = _find(call, repo)
        _check_author(call, repo, discussion["author"]["name"])
        data = {"from": discussion["title"], "to": title}
        event = _discussions.add_event(discussion, "title-change", author, data)
        discussion["title"] = title
        _discussions.save(repo, discussion)
    return answer({"newTitle": event})


def change_status(call: Call) -> Response:
    """Open or close."""
    repo, author, status = call.repo("contribute"), call.signed_in().name, call.text("status")
    if status not in ("open", "closed"):
        raise bad_request("The status is 'open' or 'closed'.")
    with repo.changing():
        discussion = _find(call, repo)
        _check_author(call, repo, discussion["author"]["name"])
        if discussion["status"] == "merged":
            raise bad_request("A merged pull request stays merged.")
        event = _set_status(discussion, status, author, call.text("comment", ""))
        _discussions.save(repo, discussion)
    return answer({"newStatus": event})


def merge_pull_request(call: Call) -> Response:
    """Merge a pull request: one commit with two parents."""
    repo, author = call.repo("write"), call.signed_in().name
    with repo.git.open() as git, repo.changing():
        discussion = _find(call, repo)
        number = discussion["num"]
        if not discussion["isPullRequest"] or discussion["status"] in ("merged", "closed"):
            raise bad_request(f"There is no open pull request {number}.")
        base_ref = discussion["changes"]["base"]
        base, head = git.ref(base_ref), git.ref(f"refs/pr/{number}")
        if base is None or head is None:
            raise bad_request(f"The branch of pull request {number} is gone.")
        result = merge(git, base, head)
        if result.conflicts:
            raise conflict(f"Both sides changed {', '.join(result.conflicts)}.")
        message = f"{discussion['title']} (#{number})"
        merged = git.add_commit(result.tree, [base, head], author, message)
        if not git.move_ref(base_ref, base, merged):
            raise conflict(f"{base_ref} has moved meanwhile.")
        discussion["changes"]["mergeCommitId"] = merged
        _set_status(discussion, "merged", author, call.text("comment", ""))
        _discussions.save(repo, discussion)
    return answer({"mergeCommitId": merged})


def _set_status(discussion: dict[str, Any], status: str, author: str, text: str) -> dict[str, Any]:
    if text:
        _discussions.add_event(discussion, "comment", author, _discussions.comment_data(text))
    discussion["status"] = status
    return _discussions.add_event(discussion, "status-change", author, {"status": status})


def _find(call: Call, repo: Repo) -> dict[str, Any]:
    text = call.params["number"]
    number = as_number(text)
    found = _discussions.load(repo, number) if number is not None else None
    if found is None:
        raise HubError(404, f"There is no discussion {text}.", code="DiscussionNotFound")
    return found


def _check_author(call: Call, repo: Repo, author: str) -> None:
    if call.signed_in().name == author:
        return
    try:
        check_repo(repo, call.identity, "write")
    except HubError:
        raise forbidden(
            f"Only {author} and those who may write to {repo.id} may do this."
        ) from None


def _title(call: Call) -> str:
    title = call.text("title").strip()
    if not 3 <= len(title) <= _LONGEST_TITLE:
        raise bad_request(f"A title has 3 to {_LONGEST_TITLE} characters.")
    return title
