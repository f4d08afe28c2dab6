"""A repository copied to another name, large files included at no cost."""

from __future__ import annotations

import dataclasses
import shutil

from starlette.responses import Response

from hfl_localhub._access import check_namespace
from hfl_localhub._call import Call, answer
from hfl_localhub._errors import HubError
from hfl_localhub._lfs_index import LfsRecord
from hfl_localhub._paths import check_repo_name
from hfl_localhub._repo_settings import visibility_of
from hfl_localhub._repos import Repo
from hfl_localhub._routing import Router

__all__ = ["add_routes"]


def add_routes(router: Router) -> None:
    """Add this module's routes."""
    router.add("POST", "/api/{T}/{ns}/{name}/duplicate", duplicate, "small")


def duplicate(call: Call) -> Response:
    """Copy a repository's branches, tags and large files."""
    source = call.repo("read", content=True)
    namespace, _, name = call.text("repository").partition("/")
    key = (source.type, namespace, check_repo_name(name))
    check_namespace(call.identity, namespace, name)
    visibility = visibility_of(call.json) or source.settings.visibility
    settings = dataclasses.replace(
        source.settings, visibility=visibility, gated=False, likes=(), access=()
    )
    web_path = (
        f"{namespace}/{name}" if source.type == "model" else f"{source.type}s/{namespace}/{name}"
    )

    def fill(repo: Repo) -> None:
        with source.git.open() as git, source.lock, call.hub.blobs.lock:
            shutil.rmtree(repo.git.path)
            shutil.copytree(source.git.path, repo.git.path)
            for ref in git.refs():
                if ref.startswith("refs/pr/"):
                    (repo.git.path / ref).unlink()
            for record in source.lfs:
                repo.lfs.put(LfsRecord(**dataclasses.asdict(record)))

    try:
        call.hub.repos.create(key, settings, fill)
    except HubError as error:
        error.body.update(url=call.url(f"/{web_path}"))
        raise
    return answer({"url": call.url(f"/{web_path}"), "filesCopyPending": False})
