"""Who may see a bucket and who may change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_localhub._buckets._register import Bucket, BucketRegister
from hfl_localhub._errors import HubError, forbidden, repo_not_found, unauthorized

if TYPE_CHECKING:
    from starlette.requests import Request

    from hfl_localhub._context import HubContext
    from hfl_localhub._identity import Identity


class MovedError(Exception):
    """The bucket has another name now.

    Args:
        bucket: The bucket.
    """

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket.id)
        self.bucket = bucket


class BucketAccess:
    """Finds buckets for those who ask.

    Args:
        context: Knows who asks.
        register: Knows the buckets.
    """

    def __init__(self, context: HubContext, register: BucketRegister) -> None:
        self._context = context
        self._register = register

    def identity(self, request: Request) -> Identity:
        """Return who asks.

        Raises:
            HubError: If that is nobody.
        """
        identity = self._context.authenticate(request)
        if identity is None:
            raise unauthorized()
        return identity

    def bucket(self, request: Request, access: str) -> Bucket:
        """Return the bucket that a request's path names.

        Args:
            request: Has ``namespace`` and ``name`` in its path.
            access: ``"read"``, ``"write"`` or ``"admin"``.

        Raises:
            MovedError: If it was renamed, and who asks may see it.
            HubError: If it is not there, or hidden, or may not be changed.
        """
        return self.named(
            request, request.path_params["namespace"], request.path_params["name"], access
        )

    def named(self, request: Request, namespace: str, name: str, access: str) -> Bucket:
        """Return a bucket by its name; see :meth:`bucket`."""
        identity = self._context.authenticate(request)
        if namespace == "me" and identity is not None:
            namespace = identity.name
        bucket = self._register.get(namespace, name)
        if bucket is None:
            renamed = self._register.renamed(namespace, name)
            if renamed is not None and can_read(identity, renamed):
                raise MovedError(renamed)
        if bucket is None or not can_read(identity, bucket):
            raise repo_not_found(is_anonymous=identity is None)
        if access == "write" and not (identity and identity.can_write(namespace, name)):
            raise _no_right(identity, bucket)
        if access == "admin" and not (identity and identity.can_administer(namespace, name)):
            raise _no_right(identity, bucket)
        return bucket

    def namespace(self, request: Request) -> str:
        """Return the namespace that a request's path names; ``me`` is who asks."""
        namespace: str = request.path_params["namespace"]
        return self.identity(request).name if namespace == "me" else namespace


def can_read(identity: Identity | None, bucket: Bucket) -> bool:
    """Whether somebody may see a bucket."""
    if not bucket.private:
        return True
    return identity is not None and identity.can_read(bucket.namespace, bucket.name)


def _no_right(identity: Identity | None, bucket: Bucket) -> HubError:
    if identity is None:
        return unauthorized()
    return forbidden(f"You have no right to change the bucket {bucket.id}.")
