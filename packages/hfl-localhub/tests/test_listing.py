from __future__ import annotations

import json
from urllib.parse import quote

import pytest

CARD = """---
license: mit
language: [en, de]
tags:
- digits
library_name: transformers
pipeline_tag: image-classification
datasets: ann/data
base_model: ann/base
date: 2024-01-01
score: .nan
---
# A model
"""


@pytest.fixture(scope="module")
def repos(ann, bob):
    first = ann.new_repo()
    config = json.dumps({"model_type": "vit", "architectures": ["ViT"], "secret": 1}).encode()
    ann.commit(first, {"README.md": CARD.encode(), "config.json": config})
    second = bob.new_repo()
    bob.call("PUT", f"/api/models/{second}/settings", {"gated": "auto"})
    ann.call("POST", f"/api/models/{second}/like")
    ann.new_repo("dataset")
    return first, second


def ids(api, query, kind="models"):
    return [item["id"] for item in api.get(f"/api/{kind}?{query}").json()]


def test_a_card_gives_tags_and_metadata(ann, repos):
    info = ann.get(f"/api/models/{repos[0]}").json()
    assert info["cardData"]["license"] == "mit"
    assert info["cardData"]["date"] == "2024-01-01"
    assert info["cardData"]["score"] == "nan"
    assert info["pipeline_tag"] == "image-classification"
    assert info["library_name"] == "transformers"
    assert info["config"] == {"model_type": "vit", "architectures": ["ViT"]}
    expected = {"digits", "transformers", "en", "de", "license:mit", "dataset:ann/data", "vit"}
    assert expected <= set(info["tags"])


def test_repositories_are_filtered(ann, repos):
    first, second = repos
    assert ids(ann, "author=ann") == [first]
    assert ids(ann, f"search={first.split('/')[1].upper()}") == [first]
    assert ids(ann, "filter=license%3Amit&filter=digits") == [first]
    assert ids(ann, "filter=license%3Amit,no-such") == []
    assert ids(ann, "pipeline_tag=image-classification") == [first]
    assert ids(ann, "gated=true") == [second]
    assert ids(ann, "gated=false") == [first]
    assert len(ids(ann, "", "datasets")) == 1
    assert ids(ann, "", "spaces") == []


def test_repositories_are_sorted(ann, repos):
    first, second = repos
    assert ids(ann, "sort=likes&direction=-1") == [second, first]
    assert ids(ann, "sort=createdAt") == [second, first]
    assert ids(ann, "sort=createdAt&direction=1") == [first, second]
    assert ids(ann, "sort=author") == [first, second]
    assert sorted(ids(ann, "sort=lastModified")) == sorted(repos)
    answer = ann.get("/api/models?sort=size")
    assert answer.status == 400


def test_repositories_come_in_pages(ann, repos):
    answer = ann.get("/api/models?limit=1&sort=author")
    assert [item["id"] for item in answer.json()] == [repos[0]]
    answer = ann.get(answer.link)
    assert [item["id"] for item in answer.json()] == [repos[1]]
    assert not answer.link


def test_lists_show_as_much_as_is_asked_for(ann, repos):
    plain = ann.get("/api/models?author=ann").json()[0]
    assert "cardData" not in plain
    assert "siblings" not in plain
    full = ann.get("/api/models?author=ann&full=true").json()[0]
    assert full["cardData"]["license"] == "mit"
    assert {"rfilename": "README.md"} in full["siblings"]
    some = ann.get("/api/models?author=ann&expand=likes&expand=tags").json()[0]
    assert set(some) == {"_id", "id", "sha", "private", "likes", "tags"}


def test_the_own_repositories_come_with_their_storage(ann, repos):
    repo = ann.new_repo(namespace="lab", private=True)
    ann.commit_large(repo, {"w.bin": b"weights" * 100})
    mine = ann.get("/api/settings/repositories").json()
    assert {item["id"] for item in mine} >= {repos[0]}
    found = ann.get("/api/organizations/lab/settings/repositories").json()
    assert [(item["id"], item["storage"], item["visibility"]) for item in found] == [
        (repo, 700, "private")
    ]


BAD = [
    "---\n[\n---\n",
    "---\n- a\n---\n",
    "---\ntags: [1]\n---\n",
    "---\nlicense: {a: b}\n---\n",
    "---\nmodel-index: x\n---\n",
    "---\na: !!python/object:os.system x\n---\n",
    "---\n" + "[" * 5000 + "\n---\n",
]


@pytest.mark.parametrize("text", BAD)
def test_a_card_that_makes_no_sense_is_told_so_and_harms_nothing(ann, text):
    answer = ann.call("POST", "/api/validate-yaml", {"content": text, "repoType": "model"})
    assert answer.status == 400
    assert answer.json()["errors"][0]["message"]
    repo = ann.new_repo()
    ann.commit(repo, {"README.md": text.encode(), "config.json": b"[" * 10_000})
    assert ann.get(f"/api/models/{repo}").status == 200


def test_a_good_card_and_a_missing_one(ann):
    good = ann.call("POST", "/api/validate-yaml", {"content": CARD, "repoType": "model"})
    assert (good.status, good.json()) == (200, {"errors": [], "warnings": []})
    empty = ann.call("POST", "/api/validate-yaml", {"content": "# no block", "repoType": "model"})
    assert (empty.status, len(empty.json()["warnings"])) == (200, 1)


def test_what_is_only_polite_is_answered(nobody):
    assert nobody.get("/api/models-tags-by-type").json() == {}
    assert nobody.call("HEAD", "/api/telemetry/a/b").status == 200
    assert nobody.get("/api/agent-harnesses").status == 200


@pytest.mark.parametrize("kind", ["config", "card"])
def test_odd_values_in_files_are_left_out(ann, kind):
    repo = ann.new_repo()
    files = {
        "config": {"config.json": b'{"model_type": 5}'},
        "card": {"README.md": b"---\nlibrary_name: 5\npipeline_tag: [a]\n1: 2\n---\n"},
    }
    ann.commit(repo, files[kind])
    answer = ann.get(f"/api/models/{quote(repo)}")
    assert answer.status == 200
    assert "pipeline_tag" not in answer.json()
