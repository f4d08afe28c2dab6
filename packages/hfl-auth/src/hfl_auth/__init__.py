"""Who am I on the Hub: tokens, profiles, identities.

One place that knows which token is used with which Hub, and why:

    from hfl_auth import AuthManager

    auth = AuthManager()
    print(auth.whoami().name)
    with auth.use("work"):
        auth.require_write("acme")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_auth._credential import Credential as Credential
    from hfl_auth._credential import Profile as Profile
    from hfl_auth._credential import SourceReport as SourceReport
    from hfl_auth._hub import DeviceCode as DeviceCode
    from hfl_auth._identity import Identity as Identity
    from hfl_auth._manager import AuthManager as AuthManager
    from hfl_auth._tokens import clean_token as clean_token
    from hfl_auth._tokens import mask_token as mask_token
    from hfl_auth.errors import InsecureFileError as InsecureFileError
    from hfl_auth.errors import InvalidTokenError as InvalidTokenError
    from hfl_auth.errors import LoginError as LoginError
    from hfl_auth.errors import MalformedTokenError as MalformedTokenError
    from hfl_auth.errors import ProfileNotFoundError as ProfileNotFoundError
    from hfl_auth.errors import TokenNotFoundError as TokenNotFoundError
    from hfl_auth.errors import WrongAccountError as WrongAccountError
    from hfl_auth.errors import WrongEndpointError as WrongEndpointError

_EXPORTS = {
    "AuthManager": "._manager",
    "Credential": "._credential",
    "DeviceCode": "._hub",
    "Identity": "._identity",
    "InsecureFileError": ".errors",
    "InvalidTokenError": ".errors",
    "LoginError": ".errors",
    "MalformedTokenError": ".errors",
    "Profile": "._credential",
    "ProfileNotFoundError": ".errors",
    "SourceReport": "._credential",
    "TokenNotFoundError": ".errors",
    "WrongAccountError": ".errors",
    "WrongEndpointError": ".errors",
    "clean_token": "._tokens",
    "mask_token": "._tokens",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
