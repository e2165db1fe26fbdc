"""Passwords: Argon2id (RFC 9106), never kept, never told."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tiles.errors import InvalidParameterError

SHORTEST: Final = 12
LONGEST: Final = 200
"""Characters. Length is what counts (NIST SP 800-63B, 3.1.1); no rule asks for signs or capitals."""


def hashed(password: str) -> str:
    """What is kept of a password.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When it is too short or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidParameterError(f"A password has {SHORTEST} to {LONGEST} characters: several words are good.")
    return _hasher().hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Whether a password is the one that was kept; as slow where there is none, lest that be seen."""
    try:
        _hasher().verify(kept or _nobodys(), password[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


def is_outdated(kept: str) -> bool:
    """Whether it was kept with weaker parameters than today's."""
    return _hasher().check_needs_rehash(kept)


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@lru_cache(maxsize=1)
def _nobodys() -> str:
    return _hasher().hash("nobody's password")
