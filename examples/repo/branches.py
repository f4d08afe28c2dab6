"""A branch for every experiment, a tag for what is published, and no storage wasted on the rest.

python examples/repo/branches.py
"""

from __future__ import annotations

import os

from _hub import signed_in

from hfl_repo import RepoManager

with signed_in() as hub:
    # 0.36 takes its endpoint from the environment, once.
    from huggingface_hub import CommitOperationAdd, HfApi

    repo = RepoManager("ann/digits")
    repo.create(private=True)
    api = HfApi(endpoint=hub.endpoint, token=os.environ["HF_TOKEN"])

    for rate in ("1e-3", "3e-4"):
        branch = repo.create_branch(f"experiments/lr-{rate}")
        for step in range(3):
            weights = f"weights of {rate} at step {step} ".encode() * 5_000
            api.create_commit(
                "ann/digits",
                [CommitOperationAdd("model.safetensors", weights)],
                commit_message=f"Step {step}",
                revision=branch.name,
            )
    repo.create_tag("v1.0", "experiments/lr-3e-4", message="What the paper uses")
    print("Branches:", [ref.name for ref in repo.list_branches()])
    print("Steps:", [commit.title for commit in repo.history("v1.0", limit=3)])

    # Done with one of them. Its weights still take storage, because the Hub keeps them.
    repo.delete_branch("experiments/lr-1e-3")
    plan = repo.reclaim()
    print(
        f"Would free {plan.freed_bytes:,} bytes in {len(plan.delete)} files; squash {plan.squash}"
    )
    done = repo.reclaim(plan_only=False, confirm="ann/digits")

    left = repo.storage()
    assert done.is_done
    assert left.unreferenced == ()
    print("Left:", [(file.path, file.refs) for file in left.files])
    assert len(left.files) == 1
