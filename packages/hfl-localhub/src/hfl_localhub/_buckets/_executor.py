"""Carrying out a batch on a bucket, with the rights of who asks."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Dict, List

from hfl_localhub._buckets._access import can_read
from hfl_localhub._buckets._batch import NOT_IN_STORAGE, BatchPlanner, Changes, RefusedError
from hfl_localhub._buckets._payload import split_id
from hfl_localhub._buckets._register import Bucket, BucketRegister
from hfl_localhub._errors import HubError
from hfl_localhub._xet import XetFormatError, XetService

if TYPE_CHECKING:
    from starlette.requests import Request

    from hfl_localhub._context import HubContext


class BatchExecutor:
    """Applies batches.

    Args:
        context: Knows who may read a copy's source.
        service: Knows which bytes are stored.
        register: Has the buckets.
    """

    def __init__(self, context: HubContext, service: XetService, register: BucketRegister) -> None:
        self._context = context
        self._service = service
        self._register = register

    def apply(self, request: Request, bucket: Bucket, operations: List[Dict[str, Any]]) -> Changes:
        """Do what is possible of some operations, in one step; return what that is."""

        def size_of(xet_hash: str) -> int | None:
            try:
                return self._service.size(xet_hash)
            except XetFormatError as error:
                raise RefusedError(str(error)) from error

        planner = BatchPlanner(
            size_of=size_of,
            check_known=functools.partial(self._check_known, request, bucket),
            check_source=functools.partial(self._check_source, request),
            now=self._context.signer.clock(),
        )
        changes = planner.plan(operations)
        self._register.apply(bucket, changes.writes, changes.deletes)
        return changes

    def _check_known(self, request: Request, bucket: Bucket, xet_hash: str) -> None:
        """Refuse bytes that who asks neither uploaded here nor may read anywhere."""
        try:
            if self._service.is_empty(xet_hash) or self._register.may_name(bucket, xet_hash):
                return
            sha256 = self._service.sha256(xet_hash)
        except XetFormatError as error:
            raise RefusedError(str(error)) from error
        identity = self._context.authenticate(request)
        if any(can_read(identity, other) for other in self._register.holders(xet_hash)):
            return
        if sha256 is None or not self._context.can_read_blob(request, sha256):
            raise RefusedError(NOT_IN_STORAGE)

    def _check_source(self, request: Request, repo_type: str, repo_id: str, xet_hash: str) -> None:
        try:
            namespace, name = split_id(repo_id)
            if repo_type in ("model", "dataset", "space"):
                self._context.authorize(request, repo_type, repo_id, "content")
                if not self._service.is_in(repo_type, repo_id, xet_hash):
                    raise RefusedError("file not found in source repo")
                return
        except XetFormatError as error:
            raise RefusedError(str(error)) from error
        except HubError as error:
            raise RefusedError(_no_source(repo_type, repo_id)) from error
        if repo_type != "bucket":
            raise RefusedError("The field sourceRepoType is not model, dataset, space or bucket.")
        source = self._register.get(namespace, name)
        if source is None or not can_read(self._context.authenticate(request), source):
            raise RefusedError(_no_source(repo_type, repo_id))
        if not self._register.has_hash(source, xet_hash):
            raise RefusedError("file not found in source repo")


def _no_source(repo_type: str, repo_id: str) -> str:
    # The Hub's own words, the same for what is hidden and what does not exist.
    return f"Source repository not found: {repo_type}s/{repo_id}"
