"""A project that names its account, in `hfl.toml`.

    python examples/auth/project_file.py

Whoever works in the folder acts as that profile, as far as they have signed in under that name. The file holds no
token, so it can be committed.
"""

from __future__ import annotations

import os
from pathlib import Path

from hfl_auth import AuthManager
from hfl_core import ConfigError
from hfl_localhub import LocalHub

os.environ["HF_HOME"] = str(Path("hf-home").resolve())
for name in ("HF_TOKEN", "HFL_PROFILE", "HF_ENDPOINT", "HFL_ENDPOINT"):
    os.environ.pop(name, None)

with LocalHub() as hub, LocalHub() as strangers_hub:
    auth = AuthManager(endpoint=hub.endpoint)
    auth.login(hub.create_user("ann-at-work"), profile="work")
    auth.login(hub.create_user("ann"), profile="home")
    print("Elsewhere:", AuthManager().whoami().name)

    Path("hfl.toml").write_text('profile = "work"\n')
    here = AuthManager()
    print("In the project:", here.whoami().name, "from", here.credential().detail)
    assert here.whoami().name == "ann-at-work"

    # A project may name a Hub, too. One where you never signed in gets no token for it.
    Path("hfl.toml").write_text(f'endpoint = "{strangers_hub.endpoint}"\n')
    assert AuthManager().credential().token is None
    try:
        AuthManager().login("hf_abcdefghijklmnopqrstuvwxyz")
    except ConfigError as error:
        print("Refused:", error.message)
    assert strangers_hub.requests.count() == 0
