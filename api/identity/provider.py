"""An OpenID provider: found by discovery, its keys kept, its tokens checked (OpenID Connect Core 1.0, RFC 8725)."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from tiles.errors import AccessRefusedError, ProviderError

ALGORITHMS: Final = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA"]
"""Of a pair of keys each: `none`, and those by a secret that both sides have, are not among them."""
LEEWAY_S: Final = 60
"""By which two clocks may differ."""
LONGEST_TOKEN: Final = 16_000
_REFETCH_S: Final = 60.0
"""Tokens of unknown keys make us ask for keys at most this often."""
_RETRY_S: Final = 5.0
_KEYS_GOOD_S: Final = 3600.0
_TIMEOUT_S: Final = 5.0
_LONGEST_ANSWER: Final = 500_000


@dataclass(frozen=True)
class ProviderParams:
    """What is known of a provider, and how it knows us.

    Parameters
    ----------
    issuer
        Its address, as in its tokens.
    client_id, client_secret
        Ours; without a secret, we are a public client.
    role_claim
        Claim that holds a person's groups.
    """

    issuer: str
    client_id: str
    client_secret: str | None
    role_claim: str


class Provider:
    """A provider; nothing is asked of it before it is needed.

    Parameters
    ----------
    params
        See `ProviderParams`.
    """

    def __init__(self, params: ProviderParams) -> None:
        self.params = params
        self._lock = threading.Lock()
        self._document: Mapping[str, Any] | None = None
        self._keys: KeySet | None = None
        self._known: frozenset[str | None] = frozenset()
        self._tried_s, self._fetched_s, self._found_s = -math.inf, 0.0, -math.inf

    def endpoint(self, name: str) -> str:
        """One of its addresses, such as ``authorization_endpoint``.

        Raises
        ------
        tiles.errors.ProviderError
            When it does not answer, or not as it should.
        """
        with self._lock:
            if self._document is None:
                # While it does not answer, who comes with a token does not keep us waiting for it each time.
                if time.monotonic() - self._found_s < _RETRY_S:
                    raise ProviderError("The OpenID provider did not answer a moment ago.")
                self._found_s = time.monotonic()
                document = self._get(f"{self.params.issuer.rstrip('/')}/.well-known/openid-configuration")
                if document.get("issuer") != self.params.issuer:
                    raise ProviderError("The OpenID provider calls itself otherwise than SYLVIGIE_OIDC_ISSUER.")
                self._document = document
            address = self._document.get(name)
        secure = urlsplit(self.params.issuer).scheme == "https"
        if not isinstance(address, str) or not address.startswith("https://" if secure else "http"):
            raise ProviderError(f"The OpenID provider tells no {name}, or one without https.")
        return address

    def exchange(self, code: str, verifier: str, redirect_uri: str) -> str:
        """The ID token for a code (RFC 6749, 4.1.3; RFC 7636).

        Raises
        ------
        tiles.errors.AccessRefusedError
            When the provider refuses the code.
        tiles.errors.ProviderError
            When it does not answer, or not as it should.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": self.params.client_id,
        }
        secret = self.params.client_secret
        auth = None if secret is None else (quote(self.params.client_id, safe=""), quote(secret, safe=""))
        try:
            answer = httpx.post(self.endpoint("token_endpoint"), data=form, auth=auth, timeout=_TIMEOUT_S)
            told = answer.json() if len(answer.content) < _LONGEST_ANSWER else None
        except (httpx.HTTPError, ValueError) as error:
            raise ProviderError("The OpenID provider does not give a token.") from error
        if answer.status_code in (400, 401, 403):
            raise AccessRefusedError("The provider does not take its code: sign in again.")
        token = told.get("id_token") if isinstance(told, dict) else None
        if answer.status_code != 200 or not isinstance(token, str):
            raise ProviderError("The OpenID provider does not give an ID token.")
        return token

    def claims_of(self, token: str, nonce: str | None = None) -> Mapping[str, Any]:
        """What a token says, once it is known to be the provider's, for us and good now.

        Parameters
        ----------
        token
            A signed JWT.
        nonce
            That an ID token has to hold; None where it is a bearer's.

        Raises
        ------
        tiles.errors.AccessRefusedError
            When it is not.
        tiles.errors.ProviderError
            When the provider's keys cannot be had.
        """
        try:
            if len(token) > LONGEST_TOKEN:
                raise ValueError("too long")
            header = jws.extract_compact(token.encode("ascii")).headers()
            if header.get("alg") not in ALGORITHMS:
                raise ValueError("algorithm")
            kid = header.get("kid")
            keys = self._keys_with(kid if isinstance(kid, str) else None)
            claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
            self._registry(nonce).validate(claims)
            sub, azp = claims.get("sub"), claims.get("azp")
            if not isinstance(sub, str) or not 1 <= len(sub) <= 255:
                raise ValueError("sub")
            if nonce is not None and azp not in (None, self.params.client_id):
                raise ValueError("azp")
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            # Neither the token nor why: who has made it up learns nothing.
            raise AccessRefusedError(
                "The provider's token is not good here, or not any more: sign in again."
            ) from error
        return dict(claims)

    def _registry(self, nonce: str | None) -> jwt.JWTClaimsRegistry:
        asked: dict[str, Any] = {
            "iss": {"essential": True, "value": self.params.issuer},
            "aud": {"essential": True, "value": self.params.client_id},
            "exp": {"essential": True},
        }
        if nonce is not None:
            asked["nonce"] = {"essential": True, "value": nonce}
        return jwt.JWTClaimsRegistry(leeway=LEEWAY_S, **asked)

    def _keys_with(self, kid: str | None) -> KeySet:
        """The provider's keys; asked for again where they do not have one of this name, or are old."""
        address = self.endpoint("jwks_uri")
        with self._lock:
            now_s = time.monotonic()
            wanted = self._keys is None or kid not in self._known or now_s - self._fetched_s > _KEYS_GOOD_S
            if wanted and now_s - self._tried_s >= _REFETCH_S:
                self._tried_s = now_s
                self._take_keys(address, now_s)
            if self._keys is None:
                raise ProviderError("The OpenID provider's keys cannot be had.")
            return self._keys

    def _take_keys(self, address: str, now_s: float) -> None:
        try:
            told = self._get(address)
            # Others than those of pairs, which would be secrets, are left out.
            pairs = [key for key in told.get("keys", ()) if key.get("kty") in ("RSA", "EC", "OKP")]
            keys = KeySet.import_key_set({"keys": [key for key in pairs if key.get("use", "sig") == "sig"]})
        except (ProviderError, JoseError, ValueError, TypeError, AttributeError, KeyError) as error:
            if self._keys is None:
                raise ProviderError("The OpenID provider's keys cannot be had.") from error
            return
        self._keys, self._fetched_s = keys, now_s
        self._known = frozenset({None, *(key.kid for key in keys.keys)})

    def _get(self, address: str) -> dict[str, Any]:
        try:
            answer = httpx.get(address, timeout=_TIMEOUT_S)
            answer.raise_for_status()
            told = answer.json() if len(answer.content) < _LONGEST_ANSWER else None
        except (httpx.HTTPError, ValueError) as error:
            raise ProviderError("The OpenID provider does not answer as it should.") from error
        if not isinstance(told, dict):
            raise ProviderError("The OpenID provider does not answer as it should.")
        return told
