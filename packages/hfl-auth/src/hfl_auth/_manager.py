"""`AuthManager`: who am I, and what may I do."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Callable, Iterator

from hfl_auth._acting_as import acting_as, profile_in_use
from hfl_auth._asking import ask_identity
from hfl_auth._credential import Credential, Profile, Secret, SourceReport, Storage, moment
from hfl_auth._endpoints import normalize_endpoint
from hfl_auth._expiry import renewed_if_due, warn_of_expiry
from hfl_auth._hub import device_login
from hfl_auth._identity import Identity
from hfl_auth._job_tokens import JobTokens
from hfl_auth._login import ask_about, free_name, login_endpoint
from hfl_auth._records import Record
from hfl_auth._snapshot import Snapshot, public_profile
from hfl_auth._sources import Finding, Sources, reports
from hfl_auth._store import TokenStore, check_profile_name
from hfl_auth._tokens import clean_token, fingerprint, mask_token
from hfl_auth._wishes import Endpoint, Wishes
from hfl_auth.errors import TokenNotFoundError, WrongAccountError
from hfl_core import get_logger
from hfl_core.errors import ConfigError

if TYPE_CHECKING:
    from hfl_auth._hub import DeviceCode

_LOG = get_logger(__name__)


class AuthManager:
    """Knows which token is used with which Hub, and why.

    It keeps nothing but what Hubs answered: environment and files are read when it is asked, so
    it may be kept for as long as you like, and shared by threads.

    Args:
        profile: The profile to act as. None: what the environment, the project or the user's
            files say.
        endpoint: The Hub. None: the profile's own, else what the environment, the project or the
            user's files say, else the public one.
        token: A token to act with, for `endpoint`; nothing else is looked at then.

    Raises:
        ConfigError: The endpoint is no address, or both a profile and a token are given.
        MalformedTokenError: The token is none.

    Example:
        >>> AuthManager(endpoint="https://huggingface.co", token="hf_abcdefghijklmnop").credential()
        Credential(token='hf_abc…mnop', source='argument', profile=None)
    """

    def __init__(
        self, profile: str | None = None, endpoint: str | None = None, *, token: str | None = None
    ) -> None:
        if profile is not None and token is not None:
            raise ConfigError(
                "A profile and a token are given, and they may be two accounts.",
                hint="Pass one of them.",
            )
        self._profile = profile
        self._endpoint = (
            None if endpoint is None else normalize_endpoint(endpoint, where="the argument")
        )
        self._token = None if token is None else clean_token(token, source="the argument")
        self._identities: dict[tuple[str, str], Identity] = {}
        self._job_tokens = JobTokens()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        given = {"profile": self._profile, "endpoint": self._endpoint}
        shown = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        if self._token is not None:
            shown.append(f"token={mask_token(self._token)!r}")
        return f"AuthManager({', '.join(shown)})"

    # -- who am I -----------------------------------------------------------------------------

    @property
    def endpoint(self) -> str:
        """The Hub that is talked to.

        Raises:
            ConfigError: What names it is no address.
        """
        return self._wishes(TokenStore().snapshot()).endpoint().url

    def credential(self, *, required: bool = False) -> Credential:
        """Find the token to act with; nothing is sent, unless a token has to be renewed.

        Args:
            required: Raise where there is no token.

        Returns:
            The token and where it came from. Without one, a credential whose token is None.

        Raises:
            ProfileNotFoundError: A profile is named that does not exist.
            WrongEndpointError: What was asked for belongs to another Hub.
            InsecureFileError: Others can read the file that holds the token.
            MalformedTokenError: What should be a token is none.
            TokenNotFoundError: There is none, and it is required.
        """
        store = TokenStore()
        endpoint, sources = self._sources(store.snapshot())
        looked_in: list[str] = []
        for finding in sources.findings():
            if finding.problem is not None:
                raise finding.problem
            if finding.read is not None:
                return self._credential(store, endpoint, finding)
            looked_in.append(finding.briefly)
        if required:
            raise TokenNotFoundError(looked_in)
        return Credential(None, "none", None, endpoint=endpoint.url)

    def whoami(self, *, refresh: bool = False) -> Identity:
        """Ask the Hub whose token is in use. It is asked once per Hub and token.

        Args:
            refresh: Ask again.

        Returns:
            Who it is.

        Raises:
            TokenNotFoundError: There is no token.
            InvalidTokenError: The Hub does not accept it.
            NetworkError: The Hub does not answer.
            AuthError: What `credential` raises.
        """
        credential = self.credential(required=True)
        token = credential.token or ""
        key = (credential.endpoint, fingerprint(token))
        with self._lock:
            known = None if refresh else self._identities.get(key)
        if known is not None:
            return known
        identity = ask_identity(credential.endpoint, token, source=credential.place)
        with self._lock:
            self._identities[key] = identity
        if identity.expires_at is not None and credential.expires_at is None:
            warn_of_expiry(token, identity.expires_at.timestamp(), place=credential.place)
        return identity

    def explain(self) -> list[SourceReport]:
        """Tell of every place a token may come from, in order, what became of it and why.

        Nothing is sent, and no keyring is opened.

        Returns:
            One report per place.
        """
        _, sources = self._sources(TokenStore().snapshot())
        return reports(sources.findings())

    def require_write(self, target: str) -> Identity:
        """Make sure that the account may write to a namespace, before anything is sent.

        Args:
            target: A namespace (``"lab"``) or a repository (``"lab/digits"``).

        Returns:
            Who it is.

        Raises:
            WrongAccountError: It may not. The error names the account and where it may write.
            AuthError: What `whoami` raises.
        """
        identity = self.whoami()
        if not identity.can_write(target):
            raise WrongAccountError(
                target, account=identity.name, allowed=identity.writable, orgs=tuple(identity.orgs)
            )
        return identity

    def validate(self, token: str) -> Identity:
        """Ask the Hub whose token this is, without keeping it.

        Args:
            token: The token, as it was pasted.

        Returns:
            Who it is.

        Raises:
            MalformedTokenError: It is no token.
            InvalidTokenError: The Hub does not accept it.
            ConfigError: Only a project's file names the Hub, and a token is not sent on its word.
            NetworkError: The Hub does not answer.
        """
        cleaned = clean_token(token)
        snapshot = TokenStore().snapshot()
        return ask_about(cleaned, None, self._wishes(snapshot), snapshot)

    @contextlib.contextmanager
    def use(self, profile: str) -> Iterator[AuthManager]:
        """Act as another profile until the block ends, in this thread or asyncio task alone.

        Neither the environment nor a file changes. It holds for this manager, and for every other
        one that was made without a profile or a token of its own; blocks may be nested.

        Args:
            profile: The profile's name.

        Yields:
            This manager.

        Raises:
            ProfileNotFoundError: There is no such profile.

        Example:
            ::

                with auth.use("work"):
                    RepoManager("acme/digits").create()
        """
        name = TokenStore().snapshot().profile(profile).name
        with acting_as(self, name):
            yield self

    # -- accounts of this machine -------------------------------------------------------------

    def login(
        self, token: str, *, profile: str | None = None, storage: Storage = "file"
    ) -> Profile:
        """Keep a token under a profile, after the Hub said whose it is, and use it from now on.

        Args:
            token: The token, as it was pasted.
            profile: The profile's name; else the manager's; else the name that the token has on
                the Hub, as huggingface_hub does it.
            storage: ``"file"``: huggingface_hub's owner-only files; ``"keyring"``: the system's
                keyring, with the extra `keyring`. huggingface_hub does not see the latter.

        Returns:
            The profile.

        Raises:
            MalformedTokenError: It is no token.
            InvalidTokenError: The Hub does not accept it.
            ConfigError: Only a project's file names the Hub, and a token is not sent on its word.
            ConflictError: The profile belongs to another Hub than the environment names.
            NetworkError: The Hub does not answer.
            MissingExtraError: The extra `keyring` is not installed.
        """
        return self._login(Secret(clean_token(token)), profile, storage)

    def login_endpoint(self, profile: str | None = None) -> str:
        """Return the Hub that `login` would send a token to, so that a person can be told first.

        Args:
            profile: As in `login`.

        Returns:
            The Hub.

        Raises:
            ConfigError: As in `login`.
            ConflictError: As in `login`.
        """
        asked = self._profile if profile is None else profile
        return login_endpoint(self._wishes(TokenStore().snapshot()), asked)

    def login_with_browser(
        self,
        show: Callable[[DeviceCode], None],
        *,
        profile: str | None = None,
        storage: Storage = "file",
    ) -> Profile:
        """Sign in with a browser on any device: huggingface_hub's device-code flow (RFC 8628).

        Needs huggingface_hub 2.0. The token that is issued renews itself.

        Args:
            show: Called once with the page to open and the code to enter.
            profile: As in `login`.
            storage: As in `login`.

        Returns:
            The profile.

        Raises:
            LoginError: It was denied, took too long, or huggingface_hub is too old.
            ConfigError: As in `login`.
        """
        endpoint = self.login_endpoint(profile)
        secret = device_login(endpoint, show, now=time.time)
        return self._login(secret, profile, storage)

    def logout(self, profile: str | None = None) -> str:
        """Remove a profile and its token from this machine.

        Args:
            profile: Its name; else the manager's; else the one in use.

        Returns:
            The name of what was removed.

        Raises:
            ProfileNotFoundError: There is no such profile.
            TokenNotFoundError: None is named and none is in use.
        """
        store = TokenStore()
        snapshot = store.snapshot()
        name = profile or self._profile or self._name_in_use(snapshot)
        if name is None:
            if snapshot.token_file() is None:
                raise TokenNotFoundError([f"the profiles for {self.endpoint}"])
            store.remove_token_file()
            return "the token file"
        return store.remove(name).name

    def switch(self, profile: str) -> Profile:
        """Use a profile from now on, where nothing names another.

        Args:
            profile: Its name.

        Returns:
            The profile.

        Raises:
            ProfileNotFoundError: There is no such profile.
        """
        store = TokenStore()
        store.activate(profile)
        snapshot = store.snapshot()
        return public_profile(snapshot, snapshot.profile(profile))

    def profiles(self) -> list[Profile]:
        """List the profiles of this machine, those that `hf auth login` made included.

        Returns:
            The profiles, by name.
        """
        snapshot = TokenStore().snapshot()
        return [public_profile(snapshot, each) for each in snapshot.profiles().values()]

    # -- inside -------------------------------------------------------------------------------

    def _wishes(self, snapshot: Snapshot) -> Wishes:
        is_explicit = self._profile is not None or self._token is not None
        used = profile_in_use(self, is_explicit=is_explicit)
        profile = self._profile if used is None else used
        place = "the argument" if used is None else "use()"
        return Wishes(profile, place, self._endpoint, snapshot)

    def _sources(self, snapshot: Snapshot) -> tuple[Endpoint, Sources]:
        wishes = self._wishes(snapshot)
        endpoint = wishes.endpoint()
        return endpoint, Sources(
            snapshot, wishes, endpoint, token=self._token, oidc=self._job_tokens.get
        )

    def _credential(self, store: TokenStore, endpoint: Endpoint, finding: Finding) -> Credential:
        secret = finding.read() if finding.read is not None else Secret("")
        expires_at = secret.expires_at
        if finding.stored is not None:
            secret = renewed_if_due(store, finding.stored, secret)
            expires_at = secret.expires_at or finding.stored.expires_at
        if secret.refresh_token is None:
            warn_of_expiry(secret.token, expires_at, place=finding.detail)
        return Credential(
            token=secret.token,
            source=finding.source,
            profile=finding.profile,
            detail=finding.detail,
            endpoint=endpoint.url,
            expires_at=moment(expires_at),
        )

    def _login(self, secret: Secret, profile: str | None, storage: Storage) -> Profile:
        asked = self._profile if profile is None else profile
        named = None if asked is None else check_profile_name(asked)
        store = TokenStore()
        snapshot = store.snapshot()
        identity = ask_about(secret.token, named, self._wishes(snapshot), snapshot)
        name = named or free_name(identity, secret.token, snapshot)
        expires_at = secret.expires_at
        if identity.expires_at is not None:
            expires_at = int(identity.expires_at.timestamp())
        store.save(name, Record(identity.endpoint, storage, identity.name, expires_at), secret)
        with self._lock:
            self._identities[identity.endpoint, fingerprint(secret.token)] = identity
        if secret.refresh_token is None:
            warn_of_expiry(secret.token, expires_at, place=f"the profile {name!r}")
        _LOG.info("Signed in at %s as %s.", identity.endpoint, identity.name)
        snapshot = store.snapshot()
        return public_profile(snapshot, snapshot.profile(name))

    def _name_in_use(self, snapshot: Snapshot) -> str | None:
        active = snapshot.active(self.endpoint) or snapshot.owner_of(snapshot.token_file())
        return None if active is None else active.name
