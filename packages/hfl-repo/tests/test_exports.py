from __future__ import annotations

import subprocess
import sys

import hfl_repo

PUBLIC = {
    "Card",
    "CardConflictError",
    "CardDraft",
    "CardUpdate",
    "Change",
    "Commit",
    "ConfirmationError",
    "EntryNotFoundError",
    "GatedRepoError",
    "GitattributesUpdate",
    "HeadMovedError",
    "InvalidCardError",
    "Permissions",
    "PullRequest",
    "ReclaimReport",
    "Ref",
    "RefExistsError",
    "RefUsage",
    "RemoteFile",
    "RepoArchivedError",
    "RepoExistsError",
    "RepoInfo",
    "RepoManager",
    "RepoNotFoundError",
    "RepoTree",
    "RevisionNotFoundError",
    "StorageReport",
    "StoredFile",
    "TransferReport",
    "TransferTimeoutError",
    "UnsafeUploadError",
    "UploadConflictError",
    "VisibilityMismatchError",
    "__version__",
}


def test_the_public_names_are_exactly_these() -> None:
    assert set(hfl_repo.__all__) == PUBLIC


def test_every_public_name_can_be_had() -> None:
    for name in PUBLIC:
        assert getattr(hfl_repo, name) is not None


def test_the_version_is_that_of_the_whole_project() -> None:
    import hfl_core

    assert hfl_repo.__version__ == hfl_core.__version__


def test_exports_and_type_checkers_agree() -> None:
    from hfl_core._lazy import check_exports

    assert check_exports("hfl_repo") == []


def test_using_a_manager_loads_huggingface_hub_only_when_the_hub_is_asked() -> None:
    code = (
        "import sys, hfl_repo, hfl_repo.cli; hfl_repo.RepoManager('ann/digits');"
        " print('huggingface_hub' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "datasets", "huggingface_hub", "numpy", "hfl_repo.errors"]
    code = f"import sys, hfl_repo; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
