"""OpenID providers on the loopback: a whole one that holds to PKCE, and one whose keys a test has in its hands."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

with warnings.catch_warnings(record=True):
    # It says that a part of authlib, which it uses and we do not, will go; a filter would not keep it from that.
    from oidc_provider_mock import User as User
    from oidc_provider_mock import run_server_in_thread


@dataclass
class HoldsToPkce:
    """In front of the provider's own application, which takes any verifier: RFC 7636, section 4.6."""

    app: Any
    challenge: str = ""
    exchanges: list[int] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        """One request."""
        if environ["PATH_INFO"] == "/oauth2/authorize":
            asked = parse_qs(environ["QUERY_STRING"])
            assert asked["code_challenge_method"] == ["S256"]
            (self.challenge,) = asked["code_challenge"]
        if environ["PATH_INFO"] == "/oauth2/token":
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(body)
            verifier = parse_qs(body.decode()).get("code_verifier", [""])[0]
            digest = hashlib.sha256(verifier.encode()).digest()
            fits = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == self.challenge
            self.exchanges.append(200 if fits else 400)
            if not fits:
                start("400 Bad Request", [("Content-Type", "application/json")])
                return [b'{"error": "invalid_grant"}']
        return self.app(environ, start)


@contextmanager
def live_provider(*people: User) -> Iterator[tuple[str, HoldsToPkce]]:
    """A provider that signs people in; gives its address, and what stands before it."""
    with run_server_in_thread(user_claims=people, require_nonce=True) as server:
        gate = HoldsToPkce(server.app)
        server.app = gate
        yield f"http://localhost:{server.server_port}", gate


@dataclass
class KeyedProvider:
    """A provider of discovery and keys alone: a test signs its tokens."""

    port: int
    keys: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    fails: bool = False

    @property
    def issuer(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def claims(self, **given: Any) -> dict[str, Any]:
        """Of a good token; None takes one away."""
        now = int(time.time())
        told = {"iss": self.issuer, "aud": "sylvigie", "sub": "zoe", "exp": now + 300, "iat": now}
        told |= {"name": "Zoé Kerguélen", "groups": ["others", "sylvigie-volunteer"]} | given
        return {name: value for name, value in told.items() if value is not None}

    def token(self, key: Any, alg: str = "RS256", **given: Any) -> str:
        """A token that a key has signed."""
        return jwt.encode({"alg": alg, "kid": key.kid}, self.claims(**given), key, algorithms=[alg])


@contextmanager
def keyed_provider() -> Iterator[KeyedProvider]:
    """See `KeyedProvider`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked.append(self.path)
            documents = {
                "/.well-known/openid-configuration": {
                    "issuer": provider.issuer,
                    "jwks_uri": f"{provider.issuer}/keys",
                    "authorization_endpoint": f"{provider.issuer}/authorize",
                    "token_endpoint": f"{provider.issuer}/token",
                },
                "/keys": {"keys": [key.as_dict(private=False) for key in provider.keys]},
            }
            body = json.dumps(documents.get(self.path, {})).encode()
            self.send_response(500 if provider.fails else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = KeyedProvider(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()


def rsa_key(kid: str) -> RSAKey:
    """A new pair."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


def ec_key(kid: str) -> ECKey:
    """A new pair."""
    return ECKey.generate_key("P-256", {"kid": kid})


def okp_key(kid: str) -> OKPKey:
    """A new pair."""
    return OKPKey.generate_key("Ed25519", {"kid": kid})
