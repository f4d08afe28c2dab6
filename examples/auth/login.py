"""Sign in, see who you are, and sign out again.

    python examples/auth/login.py

It uses a Hub of its own on this machine, and a folder of its own for tokens. With the public Hub, leave out
`endpoint=` and the environment variable.
"""

from __future__ import annotations

import os
from pathlib import Path

from hfl_auth import AuthManager, WrongAccountError
from hfl_localhub import LocalHub

os.environ["HF_HOME"] = str(Path("hf-home").resolve())

with LocalHub() as hub:
    token = hub.create_user("ann", orgs={"lab": "write", "guests": "read"}, token_name="laptop")

    auth = AuthManager(endpoint=hub.endpoint)
    print("Before:", auth.credential())

    # Whatever came along when the token was copied is understood.
    profile = auth.login(f'export HF_TOKEN="{token}"\n')
    print(f"Signed in as {profile.account}, profile {profile.name!r}: {auth.credential()}")

    identity = auth.whoami()
    print(
        f"{identity.name} is in {', '.join(identity.orgs)}, and may write to: {identity.writable}"
    )

    try:
        auth.require_write("guests/model")  # before a byte is sent
    except WrongAccountError as error:
        print("Refused:", error)

    auth.logout()
    assert auth.credential().token is None
    print("Signed out.")
