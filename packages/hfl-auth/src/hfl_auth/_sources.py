"""The places a token may come from, in order; which of them wins, and why the others do not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Callable, Iterator

from hfl_auth._credential import Secret, SourceName, SourceReport
from hfl_auth._endpoints import PUBLIC
from hfl_auth._hub import colab_token, is_colab
from hfl_auth._snapshot import Snapshot, StoredProfile
from hfl_auth._tokens import clean_token, fingerprint, mask_token
from hfl_auth._wishes import Endpoint, Wish, Wishes, environment_token
from hfl_auth.errors import TokenNotFoundError, WrongEndpointError, shown_path
from hfl_core.errors import HflError

Read = Callable[[], Secret]


@dataclass(frozen=True)
class Finding:
    """What one place holds.

    Attributes:
        source: The kind of place.
        detail: The very place.
        read: Reads the secret; None where there is none to be used.
        reason: Why there is none, or what there is.
        profile: The profile that is named there.
        stored: That profile, if it exists.
        problem: Why what it names cannot be used, where going on to the next place would mean to
            act as somebody else than was asked for.
        is_elsewhere: Whether it holds a token, of another Hub.
        shown: The token, masked, where it is at hand.
    """

    source: SourceName
    detail: str
    read: Read | None = None
    reason: str = ""
    profile: str | None = None
    stored: StoredProfile | None = None
    problem: HflError | None = None
    is_elsewhere: bool = False
    shown: str | None = None

    @property
    def briefly(self) -> str:
        """The place in a list of places."""
        if self.is_elsewhere:
            return f"{self.detail} ({self.reason})"
        names = {"profile": "the profile in use", "colab": "the secrets of Colab"}
        return names.get(self.source, f"the {self.source}")


class Sources:
    """All places, for one Hub.

    Args:
        snapshot: The profiles.
        wishes: What was asked for.
        endpoint: The Hub.
        token: The token that an argument holds.
        oidc: Exchanges the CI job's identity for a token.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        wishes: Wishes,
        endpoint: Endpoint,
        *,
        token: str | None,
        oidc: Callable[[str, str], Secret],
    ) -> None:
        self._snapshot = snapshot
        self._wishes = wishes
        self._endpoint = endpoint
        self._token = token
        self._oidc = oidc

    def findings(self) -> Iterator[Finding]:
        """Look into one place after the other, each only when it is asked for."""
        for look in (
            self._argument,
            self._environment,
            lambda: self._wished("project file", "no hfl.toml names a profile"),
            self._profile,
            self._token_file,
            self._keyring,
            self._colab,
        ):
            try:
                yield look()
            except HflError as error:
                yield self._failed(look, error)

    def _failed(self, look: object, error: HflError) -> Finding:
        variable = environment_token()
        names: dict[object, tuple[SourceName, str]] = {
            self._argument: ("argument", ""),
            self._environment: ("environment", "" if variable is None else variable[1]),
            self._profile: ("profile", f"'{shown_path(self._snapshot.paths.stored_tokens)}'"),
            self._token_file: ("token file", f"'{shown_path(self._snapshot.paths.token)}'"),
            self._keyring: ("keyring", "the keyring"),
            self._colab: ("colab", ""),
        }
        source, detail = names.get(look, ("project file", ""))
        return Finding(source, detail, problem=error, reason=str(error))

    # -- the places ---------------------------------------------------------------------------

    def _argument(self) -> Finding:
        wish = self._wishes.profiles.get("argument")
        if wish is not None:
            return self._named(wish)
        if self._token is None:
            return Finding("argument", "profile=, token=", reason="neither is given")
        token = self._token
        # It belongs to the Hub that was named beside it; a folder's file is not beside it.
        beside = [self._wishes.endpoints.get(level) for level in ("argument", "environment")]
        named = next((each.value for each in beside if each is not None), None)
        home = named or self._snapshot.records().homes.get(fingerprint(token))
        return self._bare(
            "argument", "token=", token, home or self._wishes.endpoint(but="project file").url
        )

    def _environment(self) -> Finding:
        wish = self._wishes.profiles.get("environment")
        if wish is not None:
            return self._named(wish)
        home = self._wishes.environment_home
        resource = os.environ.get("HF_OIDC_RESOURCE", "").strip()
        if resource:
            return self._job(resource, home)
        found = environment_token()
        if found is None:
            return Finding(
                "environment",
                "HFL_PROFILE, HF_OIDC_RESOURCE, HF_TOKEN",
                reason="none of them is set",
            )
        text, variable = found
        token = clean_token(text, source=variable)
        return self._bare(
            "environment", variable, token, home or self._snapshot.records().home_of(token)
        )

    def _job(self, resource: str, home: str | None) -> Finding:
        at = home or PUBLIC
        if at != self._endpoint.url:
            return self._elsewhere("environment", "HF_OIDC_RESOURCE", at)
        return Finding(
            "environment",
            "HF_OIDC_RESOURCE",
            read=lambda: self._oidc(at, resource),
            reason="it asks for a token of this CI job",
        )

    def _profile(self) -> Finding:
        wish = self._wishes.profiles.get("profile")
        if wish is not None:
            return self._named(wish)
        active = self._snapshot.active(self._endpoint.url)
        if active is None:
            homes = {each.endpoint for each in self._snapshot.profiles().values()}
            if homes and self._endpoint.url not in homes:
                return self._elsewhere("profile", "any profile", ", ".join(sorted(homes)))
            return Finding(
                "profile",
                "hfl auth login, hfl auth switch",
                reason=f"no profile is in use for {self._endpoint.url}",
            )
        return self._of_profile("profile", f"the profile {active.name!r}", active)

    def _token_file(self) -> Finding:
        path = shown_path(self._snapshot.paths.token)
        token = self._snapshot.token_file()
        if token is None:
            return Finding("token file", f"'{path}'", reason="it holds no token")
        owner = self._snapshot.owner_of(token)
        if owner is not None and owner.endpoint == self._endpoint.url:
            return self._of_profile("token file", f"'{path}'", owner)
        return self._bare("token file", f"'{path}'", token, self._snapshot.records().home_of(token))

    def _keyring(self) -> Finding:
        there = [
            each
            for each in self._snapshot.profiles().values()
            if each.storage == "keyring" and each.endpoint == self._endpoint.url
        ]
        if len(there) == 1:
            return self._of_profile("keyring", f"the profile {there[0].name!r}", there[0])
        if not there:
            return Finding("keyring", "the keyring", reason="it holds no profile of this Hub")
        names = ", ".join(repr(each.name) for each in there)
        return Finding(
            "keyring", "the keyring", reason=f"it holds several and none is named: {names}"
        )

    def _colab(self) -> Finding:
        detail = "the Colab secret HF_TOKEN"
        if not is_colab():
            return Finding("colab", detail, reason="this is no Colab notebook")
        if self._endpoint.url != PUBLIC:
            return self._elsewhere("colab", detail, PUBLIC)
        return Finding("colab", detail, read=_colab_secret, reason="this is a Colab notebook")

    # -- what a place holds -------------------------------------------------------------------

    def _wished(self, level: SourceName, otherwise: str) -> Finding:
        wish = self._wishes.profiles.get(level)
        return Finding(level, "hfl.toml", reason=otherwise) if wish is None else self._named(wish)

    def _named(self, wish: Wish) -> Finding:
        """What somebody named must be used or fail: a weaker place would be another account."""
        detail = f"the profile {wish.value!r} of {wish.place}"
        try:
            stored = self._snapshot.profile(wish.value)
            if stored.endpoint != self._endpoint.url:
                raise WrongEndpointError(  # told like the other problems
                    f"The profile {stored.name!r}",
                    home=stored.endpoint,
                    endpoint=self._endpoint.url,
                    named_by=self._endpoint.place,
                    profile=stored.name,
                )
        except HflError as error:
            return Finding(
                wish.level, detail, problem=error, reason=error.message, profile=wish.value
            )
        return self._of_profile(wish.level, detail, stored)

    def _of_profile(self, source: SourceName, detail: str, stored: StoredProfile) -> Finding:
        shown = None if stored.secret is None else mask_token(stored.secret.token)
        return Finding(
            source,
            detail,
            read=lambda: self._snapshot.secret(stored),
            reason=f"it belongs to {stored.endpoint}",
            profile=stored.name,
            stored=stored,
            shown=shown,
        )

    def _bare(self, source: SourceName, detail: str, token: str, home: str) -> Finding:
        if home != self._endpoint.url:
            return self._elsewhere(source, detail, home, token)
        return Finding(
            source,
            detail,
            read=lambda: Secret(token),
            reason=f"it belongs to {home}",
            shown=mask_token(token),
        )

    def _elsewhere(
        self, source: SourceName, detail: str, home: str, token: str | None = None
    ) -> Finding:
        problem = None
        if source == "argument":  # it was asked for, so nothing else will do
            problem = WrongEndpointError(
                "The token that was given",
                home=home,
                endpoint=self._endpoint.url,
                named_by=self._endpoint.place,
            )
        return Finding(
            source,
            detail,
            reason=f"it belongs to {home}, not to {self._endpoint.url}",
            is_elsewhere=True,
            problem=problem,
            shown=None if token is None else mask_token(token),
        )


def reports(findings: Iterator[Finding]) -> list[SourceReport]:
    """Tell of each place what became of it."""
    told: list[SourceReport] = []
    winner: Finding | None = None
    for each in findings:
        status, reason = _outcome(each, winner)
        told.append(
            SourceReport(each.source, status, each.detail, reason, each.profile, each.shown)  # type: ignore[arg-type]  # _outcome returns these
        )
        if winner is None and (each.read is not None or each.problem is not None):
            winner = each
    return told


def _outcome(finding: Finding, winner: Finding | None) -> tuple[str, str]:
    if finding.problem is not None or finding.is_elsewhere:
        return "refused", finding.reason
    if finding.read is None:
        return "absent", finding.reason
    if winner is not None:
        return "overridden", f"{winner.detail or 'the ' + winner.source} comes first"
    return "used", finding.reason


def _colab_secret() -> Secret:
    token = colab_token()
    if token is None:
        raise TokenNotFoundError(["the Colab secret HF_TOKEN"])
    return Secret(clean_token(token, source="the Colab secret HF_TOKEN"))
