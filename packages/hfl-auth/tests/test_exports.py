from __future__ import annotations

import subprocess
import sys

import hfl_auth

PUBLIC = {
    "AuthManager",
    "Credential",
    "DeviceCode",
    "Identity",
    "InsecureFileError",
    "InvalidTokenError",
    "LoginError",
    "MalformedTokenError",
    "Profile",
    "ProfileNotFoundError",
    "SourceReport",
    "TokenNotFoundError",
    "WrongAccountError",
    "WrongEndpointError",
    "clean_token",
    "mask_token",
    "__version__",
}


def test_the_public_names_are_exactly_these() -> None:
    assert set(hfl_auth.__all__) == PUBLIC


def test_every_public_name_can_be_had() -> None:
    for name in PUBLIC:
        assert getattr(hfl_auth, name) is not None


def test_the_version_is_that_of_the_whole_project() -> None:
    import hfl_core

    assert hfl_auth.__version__ == hfl_core.__version__


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "datasets", "huggingface_hub", "numpy", "hfl_auth.errors"]
    code = f"import sys, hfl_auth; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
