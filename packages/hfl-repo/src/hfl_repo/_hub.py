"""The door to the Hub: the only module that imports huggingface_hub.

Requests of the JSON API go through huggingface_hub's own session and headers but not through
`HfApi`, whose methods take no timeout: measured with 0.36 and 2.4, a Hub that accepts a connection
and then says nothing holds them forever. What is more than one request (commits, large files)
is `HfApi`'s, called through `Hub.call`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import warnings
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    TypeVar,
    Union,
)
from urllib.parse import urlsplit

from hfl_core import RetryPolicy, __version__, get_logger, load_settings, redact
from hfl_core.errors import AuthError, ConfigError, HflError, NetworkError, ValidationError
from hfl_repo._answer import Answer
from hfl_repo._compat import body_argument, raised_by_transport, visibility_payload
from hfl_repo._translate import Viewer, error_for

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from hfl_auth import Credential
    from hfl_repo._target import Target

__all__ = ["Hub", "Params"]

_LOG = get_logger(__name__)
_T = TypeVar("_T")
Params = Union[Mapping[str, Any], Sequence["tuple[str, Any]"]]


class Hub:
    """One Hub as one account sees it. Every failure leaves as one of our errors.

    Args:
        credential: The endpoint and the token.
        retry: How requests are tried again; what the settings say if None.
        timeout: Seconds that the Hub may be silent within one request; the setting's if None.

    Attributes:
        endpoint: The Hub's address.
        retry: The policy in force.
        timeout: The timeout in force.
        account: The account's name once it is known, for messages.
        credential: As given.

    Raises:
        ConfigError: The endpoint is no address, or holds a password.
    """

    def __init__(
        self,
        credential: Credential,
        *,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
    ) -> None:
        settings = load_settings()
        _check_endpoint(credential.endpoint)
        self.endpoint = credential.endpoint
        self.retry = retry or RetryPolicy(attempts=settings.retry_attempts)
        self.timeout = timeout or settings.timeout
        self.account: str | None = None
        self.is_offline = settings.offline
        self.credential = credential

    @property
    def has_token(self) -> bool:
        """Whether requests carry a token."""
        return self.credential.token is not None

    @functools.cached_property
    def api(self) -> HfApi:
        """An `HfApi` for this endpoint and token. Use it inside `call` or `translated`."""
        from huggingface_hub import HfApi

        return HfApi(
            endpoint=self.endpoint,
            token=self.credential.token or False,  # False: never another token that lies around
            library_name="hfl-repo",
            library_version=__version__,
        )

    @property
    def library(self) -> Any:
        """huggingface_hub itself, for the few things that `HfApi` does not offer."""
        import huggingface_hub

        return huggingface_hub

    @functools.cached_property
    def headers(self) -> dict[str, str]:
        """The headers of a request, the token included: never log them."""
        from huggingface_hub import utils

        build: Any = utils.build_hf_headers  # type: ignore[attr-defined]  # not in an __all__
        return dict(
            build(
                token=self.credential.token or False,
                library_name="hfl-repo",
                library_version=__version__,
            )
        )

    def call(
        self,
        function: Callable[[HfApi], _T],
        target: Target | None = None,
        *,
        retry: RetryPolicy | None = None,
    ) -> _T:
        """Do something with `HfApi`, again if it fails in a way that may pass.

        Args:
            function: Gets the `HfApi`. It must be safe to do twice.
            target: What it is about, for messages.
            retry: How often; the Hub's own policy if None.

        Returns:
            What the function returns.

        Raises:
            HflError: Whatever went wrong, as one of ours.
        """
        self._check_online()

        def once() -> _T:
            with self.translated(target):
                return function(self.api)

        return (retry or self.retry).call(once)

    def send(
        self,
        method: str,
        path: str,
        target: Target | None = None,
        *,
        retry: RetryPolicy | None = None,
        **request: Any,
    ) -> Answer:
        """Send a request to the Hub's API, again if it fails in a way that may pass.

        Args:
            method: The HTTP method.
            path: The path below the endpoint, quoted, or the address of a further page.
            target: What it is about, for messages.
            retry: How often; the Hub's own policy if None.
            **request: What `send_once` takes.

        Returns:
            The answer, whose status is below 400.

        Raises:
            HflError: Whatever went wrong, as one of ours.
        """
        self._check_online()
        return (retry or self.retry).call(self.send_once, method, path, target, **request)

    def send_once(  # noqa: PLR0913  # what a request consists of
        self,
        method: str,
        path: str,
        target: Target | None = None,
        *,
        params: Params | None = None,
        json: object | None = None,
        content: Iterable[bytes] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        is_signed: bool = False,
        timeout: float | None = None,
    ) -> Answer:
        """Send one request, for callers that have to know whether an attempt came before.

        Args:
            method: The HTTP method.
            path: The path below the endpoint, quoted, or the address of a further page.
            target: What it is about, for messages.
            params: The query.
            json: A body to be sent as JSON.
            content: Any other body: all of it, or piece by piece with a length.
            headers: More headers. Another server gets no others.
            is_signed: Whether the address carries its own permission, and no token is to go there.
            timeout: Seconds that the Hub may be silent; the Hub's own if None.

        Returns:
            The answer, whose status is below 400.

        Raises:
            HflError: Whatever went wrong, as one of ours.
        """
        from huggingface_hub import get_session

        self._check_online()
        url = path if "://" in path else f"{self.endpoint}{path}"
        session: Any = get_session()  # of requests or of httpx2
        is_ours = not is_signed and _origin(url) == _origin(self.endpoint)
        own = self.headers if is_ours else {}
        body: dict[str, Any] = {} if json is None else {"json": json}
        if content is not None:
            body[body_argument(session)] = content
        with self.translated(target):
            response = session.request(
                method,
                url,
                headers={**own, **(headers or {})},
                params=params,
                timeout=timeout or self.timeout,
                **body,
            )
            answer = Answer.of(response)
        if answer.status >= 400:
            raise error_for(answer, target, self._viewer())
        return answer

    def get(self, path: str, target: Target | None = None, *, params: Params | None = None) -> Any:
        """Get a JSON document; see `send`."""
        return self.send("GET", path, target, params=params).json()

    def pages(
        self, path: str, target: Target | None = None, *, params: Params | None = None
    ) -> Iterator[Any]:
        """Yield the items of a list page by page; a page is asked for when it is needed.

        Raises:
            NetworkError: The next page lies on another server, which must not get the token.
        """
        answer = self.send("GET", path, target, params=params)
        while True:
            yield from answer.json()
            following = answer.next_page
            if following is None:
                return
            if _origin(following) != _origin(self.endpoint):
                raise NetworkError(
                    f"{self.endpoint} names {_origin(following)!r} for the next page of a list.",
                    hint="The token is not sent there. Check the endpoint.",
                )
            answer = self.send("GET", following, target)

    @contextlib.contextmanager
    def quietly(self) -> Iterator[None]:
        """Keep huggingface_hub's own bars off the terminal during a block, and what it says to hf_xet.

        Enter it on the thread that waits: filters of warnings are for all threads.
        """
        utils, constants = self.library.utils, self.library.constants
        # Bars that were asked for by HF_HUB_DISABLE_PROGRESS_BARS=0 cannot be switched off.
        is_asked_for = constants.HF_HUB_DISABLE_PROGRESS_BARS is False
        is_ours_to_change = not (is_asked_for or utils.are_progress_bars_disabled())
        if is_ours_to_change:
            utils.disable_progress_bars()
        try:
            with warnings.catch_warnings():
                # 0.36 calls functions of hf_xet that newer versions of it call deprecated.
                warnings.filterwarnings("ignore", "hf_xet", DeprecationWarning)
                yield
        finally:
            if is_ours_to_change:
                utils.enable_progress_bars()

    @contextlib.contextmanager
    def translated(self, target: Target | None = None) -> Iterator[None]:
        """Turn what huggingface_hub and its HTTP library raise into our errors.

        Args:
            target: What the block is about, for messages.

        Raises:
            HflError: Whatever went wrong inside.
        """
        from huggingface_hub import errors

        try:
            yield
        except HflError:
            raise
        except errors.HfHubHTTPError as error:
            raise self._refused(error, target) from error
        except errors.HFValidationError as error:
            raise ValidationError(redact(str(error))) from error
        except errors.OfflineModeIsEnabled as error:
            raise _offline() from error
        except errors.LocalTokenNotFoundError as error:
            raise AuthError("No token was found.", hint="Sign in with: hfl auth login") from error
        except raised_by_transport(_base_of(errors.HfHubHTTPError)) as error:
            raise self._unreachable(error) from error
        except (ConnectionError, TimeoutError) as error:  # what hf_xet raises
            raise self._unreachable(error) from error

    def patient_with(self, kind: type[HflError]) -> RetryPolicy:
        """Return the policy for work that is begun anew when somebody else was faster.

        Args:
            kind: The error that says so.
        """
        return dataclasses.replace(
            self.retry,
            attempts=max(
                self.retry.attempts, 15
            ),  # of eight writers, the last one loses seven times
            base_delay=min(self.retry.base_delay, 0.1),
            jitter=1.0,
            retry_if=lambda error: isinstance(error, kind),
        )

    def visibility_payload(self, *, private: bool) -> dict[str, object]:
        """Return how visibility is told to the Hub."""
        from huggingface_hub import HfApi

        return visibility_payload(HfApi.create_repo, private=private)

    def _refused(self, error: Any, target: Target | None) -> HflError:
        response = getattr(error, "response", None)
        if response is None:  # 0.36 says so of a file that is missing in the local cache
            return NetworkError(redact(str(error)))
        return error_for(Answer.of(response), target, self._viewer())

    def _viewer(self) -> Viewer:
        source = self.credential.place if self.has_token else None
        return Viewer(self.endpoint, source, self.account)

    def _unreachable(self, error: Exception) -> NetworkError:
        kind = type(error).__name__
        # requests calls a timeout while it reads the body a ConnectionError.
        is_late = "timeout" in kind.lower() or "timed out" in str(error)
        reason = "did not answer in time" if is_late else "cannot be reached"
        _LOG.debug("%s: %s", kind, error)
        return NetworkError(
            f"{self.endpoint} {reason} ({kind}).",
            hint="Check the connection, the endpoint and any proxy, then try again.",
        )

    def _check_online(self) -> None:
        if self.is_offline:
            raise _offline()


def _base_of(hub_error: type[Exception]) -> type[Exception]:
    """Return the HTTP library's own error that huggingface_hub's derives from."""
    base: type[Exception] = hub_error.__bases__[0]
    return base


def _offline() -> NetworkError:
    return NetworkError(
        "The network is switched off by a setting.",
        hint="Unset HFL_OFFLINE (and HF_HUB_OFFLINE) to talk to the Hub.",
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _check_endpoint(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"{redact(endpoint)!r} is not the address of a Hub.",
            hint="It looks like https://huggingface.co",
        )
    if "@" in parts.netloc:
        raise ConfigError(
            f"The endpoint {_origin(endpoint)!r} is given with a user or a password in it.",
            hint="Leave them out: addresses end up in logs. Sign in with: hfl auth login",
        )
