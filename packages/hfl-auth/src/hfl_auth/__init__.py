"""Who am I on the Hub: tokens, profiles, identities.

Today this package holds the errors that signing in can raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_auth.errors import InsecureFileError as InsecureFileError
    from hfl_auth.errors import InvalidTokenError as InvalidTokenError
    from hfl_auth.errors import ProfileNotFoundError as ProfileNotFoundError
    from hfl_auth.errors import TokenNotFoundError as TokenNotFoundError
    from hfl_auth.errors import WrongAccountError as WrongAccountError

_EXPORTS = {
    "InsecureFileError": ".errors",
    "InvalidTokenError": ".errors",
    "ProfileNotFoundError": ".errors",
    "TokenNotFoundError": ".errors",
    "WrongAccountError": ".errors",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
