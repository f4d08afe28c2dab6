"""Several accounts at once: one for each block, thread or process.

python examples/auth/accounts.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hfl_auth import AuthManager
from hfl_localhub import LocalHub

os.environ["HF_HOME"] = str(Path("hf-home").resolve())
for name in ("HF_TOKEN", "HFL_PROFILE", "HF_ENDPOINT", "HFL_ENDPOINT"):
    os.environ.pop(name, None)

with LocalHub() as hub:
    auth = AuthManager(endpoint=hub.endpoint)
    auth.login(hub.create_user("ann-at-work", orgs=["acme"]), profile="work")
    auth.login(hub.create_user("ann", orgs=["lab"]), profile="home")
    for profile in auth.profiles():
        print(f"{'*' if profile.is_active else ' '} {profile.name}: {profile.account}")

    # A block: neither the environment nor a file changes.
    with auth.use("work"):
        auth.require_write("acme/digits")
        print("Inside:", auth.whoami().name)
    print("After:", auth.whoami().name)

    # Threads do not see each other's.
    def name_in(profile: str) -> str:
        """Ask the Hub who acts, as a profile."""
        with auth.use(profile):
            return AuthManager().whoami().name

    with ThreadPoolExecutor() as pool:
        names = list(pool.map(name_in, ["work", "home", "work"]))
    print("Threads:", names)
    assert names == ["ann-at-work", "ann", "ann-at-work"]

    # A process of its own, with a variable.
    code = "from hfl_auth import AuthManager; print(AuthManager().whoami().name)"
    environment = {**os.environ, "HFL_PROFILE": "work"}
    told = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    print("A process with HFL_PROFILE=work:", told.strip())
    assert auth.switch("work").is_active  # from now on, where nothing else is said
