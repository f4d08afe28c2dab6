"""Buckets: named, mutable collections of files without history, stored by Xet."""

from __future__ import annotations

from hfl_localhub._buckets._register import BucketRegister
from hfl_localhub._buckets._routes import BucketRoutes

__all__ = ["BucketRegister", "BucketRoutes"]
