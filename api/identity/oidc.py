"""OpenID Connect: who people are by another's word (Authentik, Keycloak, any provider that is certified).

Tokens are read by joserfc, the code is exchanged by Authlib; here is what they do not do: discovery, keys that are
kept and change, and which claims count.

References
----------
OpenID Connect Core 1.0 and Discovery 1.0; RFC 7636 (PKCE); RFC 8725 (JSON Web Token Best Current Practices); RFC 9207.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from tiles.errors import AccessRefusedError, IdentityProviderError, InvalidParameterError

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""Signatures with a public key alone: `none`, and those by a shared secret, are none."""
_LEEWAY_S: Final = 60
_KEPT_S: Final = 3600.0
"""What a provider says of itself, and its keys, are asked for anew after an hour."""
_LEAST_S: Final = 60.0
"""A key that is not known makes us ask again, at most once a minute: anybody can send one."""
_TIMEOUT_S: Final = 10.0
_LONGEST_TOKEN: Final = 8192
_REFUSED: Final = "The token is not good: sign in again."


@dataclass(frozen=True)
class OidcParams:
    """A provider, and what it knows us by.

    Parameters
    ----------
    issuer
        Its address; ``https``, or on this machine.
    client_id, client_secret
        Ours; the secret is None of a public client.
    """

    issuer: str
    client_id: str
    client_secret: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1")):
            raise InvalidParameterError("SYLVIGIE_OIDC_ISSUER will not do: it begins with https://.")


@dataclass(frozen=True)
class Begun:
    """A sign-in that has begun.

    Parameters
    ----------
    address
        Where the browser goes.
    state, nonce, verifier
        What the answer has to fit.
    """

    address: str
    state: str
    nonce: str
    verifier: str


class OidcProvider:
    """A provider, as this process knows it. May be used by several threads.

    Parameters
    ----------
    params
        Which.
    clock
        Seconds that only grow.
    """

    def __init__(self, params: OidcParams, clock: Callable[[], float] = time.monotonic) -> None:
        self.params = params
        self._clock = clock
        self._lock = threading.Lock()
        self._http = httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False)
        self._about: Mapping[str, Any] = {}
        self._about_s = self._keys_s = -float("inf")
        self._keys: KeySet | None = None

    def close(self) -> None:
        """Close the connections to it."""
        self._http.close()

    def begin(self, redirect_uri: str) -> Begun:
        """Begin a sign-in by a browser: authorisation code, PKCE, state and nonce.

        Raises
        ------
        tiles.errors.IdentityProviderError
            When the provider does not answer.
        """
        nonce, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        with self._client(redirect_uri) as client:
            address, state = client.create_authorization_url(
                str(self._metadata()["authorization_endpoint"]), code_verifier=verifier, nonce=nonce
            )
        return Begun(address, state, nonce, verifier)

    def finish(self, code: str, redirect_uri: str, begun: Begun) -> Mapping[str, Any]:
        """Claims of who has signed in.

        Raises
        ------
        tiles.errors.AccessRefusedError
            When the code or the token is not good.
        tiles.errors.IdentityProviderError
            When the provider does not answer.
        """
        endpoint = str(self._metadata()["token_endpoint"])
        try:
            with self._client(redirect_uri) as client:
                told = client.fetch_token(endpoint, code=code, code_verifier=begun.verifier)
        except OAuthError as error:
            raise AccessRefusedError("The sign-in was refused by the provider: begin again.") from error
        except httpx.HTTPError as error:
            raise IdentityProviderError("The provider of identities does not answer.") from error
        claims = self.claims(str(told.get("id_token", "")))
        if not secrets.compare_digest(str(claims.get("nonce", "")), begun.nonce):
            raise AccessRefusedError(_REFUSED)
        return claims

    def claims(self, token: str) -> Mapping[str, Any]:
        """Claims of a token, checked: signature, issuer, audience, times.

        Raises
        ------
        tiles.errors.AccessRefusedError
            When it is not good; the sentence does not say why.
        tiles.errors.IdentityProviderError
            When the provider's keys cannot be had.
        """
        if not 20 < len(token) <= _LONGEST_TOKEN or token.count(".") != 2:
            raise AccessRefusedError(_REFUSED)
        try:
            decoded = self._decoded(token)
            rules = jwt.JWTClaimsRegistry(
                leeway=_LEEWAY_S,
                iss={"essential": True, "value": self.params.issuer},
                aud={"essential": True, "value": self.params.client_id},
                exp={"essential": True},
                sub={"essential": True},
            )
            rules.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise AccessRefusedError(_REFUSED) from error
        authorized = decoded.claims.get("azp")
        if authorized is not None and authorized != self.params.client_id:
            raise AccessRefusedError(_REFUSED)
        return dict(decoded.claims)

    def _decoded(self, token: str) -> jwt.Token:
        try:
            return jwt.decode(token, self._key_set(anew=False), algorithms=list(ALGORITHMS))
        except (JoseError, ValueError):
            # Perhaps signed with a key that is new.
            keys = self._key_set(anew=True)
            return jwt.decode(token, keys, algorithms=list(ALGORITHMS))

    def _client(self, redirect_uri: str) -> OAuth2Client:
        return OAuth2Client(
            self.params.client_id,
            self.params.client_secret,
            scope="openid profile email",
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=_TIMEOUT_S,
            follow_redirects=False,
        )

    def _metadata(self) -> Mapping[str, Any]:
        with self._lock:
            if self._clock() - self._about_s > _KEPT_S:
                about = self._json(f"{self.params.issuer.rstrip('/')}/.well-known/openid-configuration")
                if about.get("issuer") != self.params.issuer:
                    raise IdentityProviderError("The provider of identities names another issuer than the settings.")
                self._about, self._about_s = about, self._clock()
            return self._about

    def _key_set(self, *, anew: bool) -> KeySet:
        address = str(self._metadata()["jwks_uri"])
        with self._lock:
            age_s = self._clock() - self._keys_s
            if self._keys is None or age_s > _KEPT_S or (anew and age_s > _LEAST_S):
                self._keys, self._keys_s = KeySet.import_key_set(self._json(address)), self._clock()  # type: ignore[arg-type]
            return self._keys

    def _json(self, address: str) -> Mapping[str, Any]:
        try:
            answer = self._http.get(address)
            answer.raise_for_status()
            told: Any = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise IdentityProviderError("The provider of identities does not answer.") from error
        if not isinstance(told, dict):
            raise IdentityProviderError("The provider of identities does not answer as one does.")
        return told
