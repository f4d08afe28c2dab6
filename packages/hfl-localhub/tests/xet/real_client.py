"""Uploads and downloads with hf_xet; prints what it learned as JSON.

``upload REPO FILE…``, ``upload-without-sha256 REPO FILE…``, ``download REPO HASH SIZE FILE``,
``stream REPO HASH SIZE [START END FILE]…``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import hf_xet


def connection(repo, access):
    revision = "" if repo.startswith("buckets") else "/main"
    return {
        "token_refresh_url": f"{os.environ['HF_ENDPOINT']}/api/{repo}/xet-{access}-token{revision}",
        "token_refresh_headers": {"authorization": f"Bearer {os.environ['HF_TOKEN']}"},
    }


def upload(repo, files, sha256):
    with hf_xet.XetSession().new_upload_commit(**connection(repo, "write")) as commit:
        handles = [commit.start_upload_file(file, sha256=sha256) for file in files]
    infos = [handle.result().xet_info for handle in handles]
    return [{"hash": i.hash, "size": i.file_size, "sha256": i.sha256} for i in infos]


def download(repo, digest, size, file):
    group = hf_xet.XetSession().new_file_download_group(**connection(repo, "read"))
    with group:
        group.start_download_file(hf_xet.XetFileInfo(digest, int(size)), file)


def stream(repo, digest, size, *spans):
    group = hf_xet.XetSession().new_download_stream_group(**connection(repo, "read"))
    info = hf_xet.XetFileInfo(digest, int(size))
    with group:
        for start, end, file in zip(spans[::3], spans[1::3], spans[2::3]):
            with Path(file).open("wb") as target:
                for data in group.download_stream(info, start=int(start), end=int(end)):
                    target.write(data)


def main():
    command, repo, *rest = sys.argv[1:]
    if command == "upload":
        print(json.dumps(upload(repo, rest, hf_xet.COMPUTE_SHA256)))
    elif command == "upload-without-sha256":
        print(json.dumps(upload(repo, rest, hf_xet.SKIP_SHA256)))
    elif command == "download":
        download(repo, *rest)
    elif command == "stream":
        stream(repo, *rest)


if __name__ == "__main__":
    main()
