"""Passwords: Argon2id (RFC 9106), checked in the same time whether there is such an account or not."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tiles.errors import InvalidParameterError

LEAST_CHARACTERS: Final = 12
"""As of the CNIL's recommendation 2022-100, without rules on kinds of characters (NIST SP 800-63B, 5.1.1.2)."""
MOST_CHARACTERS: Final = 200
"""A longer one would only keep the service at work."""

#: The library's own parameters: RFC 9106's second choice, 64 MiB and three passes; they rise with its versions.
_HASHER: Final = PasswordHasher()


def hash_password(password: str) -> str:
    """What is kept of a password.

    Raises
    ------
    tiles.errors.InvalidParameterError
        When it is too short or too long; it is not repeated.
    """
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise InvalidParameterError(
            f"The password will not do: it needs {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters."
        )
    return _HASHER.hash(password)


def password_fits(kept: str | None, password: str) -> bool:
    """Whether a password is that which was kept; where none was, no, after as much work."""
    try:
        _HASHER.verify(kept or _nobodys(), password)
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


def needs_rehash(kept: str) -> bool:
    """Whether it was kept with other parameters than now."""
    return _HASHER.check_needs_rehash(kept)


@lru_cache(maxsize=1)
def _nobodys() -> str:
    return _HASHER.hash("a password that nobody has")
