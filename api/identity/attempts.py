"""How often somebody may try: sign-ins and requests for links, by account and by address."""

from __future__ import annotations

import time
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from api.identity.random_tokens import digest_of
from tiles.errors import TooOftenError

_OF_ACCOUNT: Final = RateLimitItemPerMinute(10, 15)
"""Guesses at one account: a thousand a day, of which a password of twelve characters knows nothing."""
_OF_ADDRESS: Final = RateLimitItemPerMinute(50, 15)
"""Guesses from one address: a room of people behind one router signs in."""


class Attempts:
    """Counts tries; of this process, as the service's other limits are."""

    def __init__(self) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def count(self, kind: str, account: str, address: str) -> None:
        """Count a try.

        Parameters
        ----------
        kind
            What is tried; each has counts of its own.
        account
            E-mail that is tried, whether there is such an account or not.
        address
            Of the client.

        Raises
        ------
        tiles.errors.TooOftenError
            When there were too many.
        """
        # The address first: who has used it up does not use up the account of somebody else.
        self._hit(_OF_ADDRESS, kind, "address", address)
        self._hit(_OF_ACCOUNT, kind, "account", digest_of(account))

    def forget(self, kind: str, account: str) -> None:
        """Forget an account's tries: one was right."""
        self._limiter.clear(_OF_ACCOUNT, kind, "account", digest_of(account))

    def _hit(self, limit: RateLimitItem, *of: str) -> None:
        if not self._limiter.hit(limit, *of):
            wait_s = max(1, round(self._limiter.get_window_stats(limit, *of).reset_time - time.time()))
            raise TooOftenError(f"Tried too often: wait {-(-wait_s // 60)} minutes.", wait_s)
