"""What is random and shown once: sessions, links, keys. Only their digests are kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

_TOKEN_BYTES: Final = 32
"""256 bits: nothing is to be guessed."""


def new_token(prefix: str = "") -> str:
    """A random token, in letters that an address or a header takes."""
    return prefix + secrets.token_urlsafe(_TOKEN_BYTES)


def digest_of(token: str) -> str:
    """What is kept of a token: a slow hash would only slow the service, for there is nothing to be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()


def bound_to(token: str, use: str) -> str:
    """A value that only who has the token can make, and that does not give the token away."""
    return hmac.new(token.encode(), use.encode(), hashlib.sha256).hexdigest()
