"""Who calls: what a check of rights gives to the route that asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from api.identity.roles import OPEN_RIGHTS, Right, Role
from api.store.reviews import Author
from api.store.scope import EVERYTHING, Scope


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Parameters
    ----------
    name
        For the audit log: ``user:`` and the row, ``token:`` and the token's name, or ``anybody``; no person is named.
    rights
        What it may do.
    token_seq, user_seq
        Row of the token, or of the person; None for anybody.
    role
        Of the person.
    departements
        Of a volunteer.
    sees_all
        Whether alerts that are not published are for them too.
    session
        Digest of the session, where that is what tells who calls.
    """

    name: str
    rights: frozenset[Right]
    token_seq: int | None = None
    user_seq: int | None = None
    role: Role = Role.PUBLIC
    departements: frozenset[str] = frozenset()
    sees_all: bool = False
    session: str | None = None

    @property
    def scope(self) -> Scope:
        """Alerts that they may know of."""
        return EVERYTHING if self.sees_all else Scope(False, self.departements, self.user_seq)

    @property
    def author(self) -> Author:
        """Who writes, for the store."""
        return Author(self.name, self.user_seq, self.token_seq)


ANYBODY: Final = Caller("anybody", OPEN_RIGHTS)
"""Who has not said who they are, on a service with accounts."""
OPEN: Final = Caller("anybody", OPEN_RIGHTS | {Right.SURVEY}, sees_all=True)
"""The same while there is no account at all: a machine of one's own."""
