"""Roles of people, and the rights that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Role(StrEnum):
    """What a person is here for."""

    PUBLIC = "public"
    """Anybody: published alerts, and no personal data."""
    VOLUNTEER = "volunteer"
    """Goes and sees alerts of some départements."""
    ANALYST = "analyst"
    """Decides of alerts."""
    ADMINISTRATOR = "administrator"


class Right(StrEnum):
    """What a caller may do."""

    READ = "read"
    """Read what is public, and of alerts those of one's scope."""
    OPERATE = "operate"
    """See how the service does: health and figures of its work."""
    UNSUBSCRIBE = "unsubscribe"
    """End a subscription, of which one has a link."""
    SURVEY = "survey"
    """See change maps, which show all ground."""
    REPORT = "report"
    """Send observation reports and photos, comment, keep favourites."""
    REVIEW = "review"
    """Say what was decided of an alert."""
    ASSIGN = "assign"
    """Ask people to go and see alerts."""
    SEE_PEOPLE = "see_people"
    """Read what others than oneself have written, and their names."""
    FOLLOW_UP = "follow_up"
    """Keep what was done about a report."""
    MANAGE = "manage"
    """Accounts, everybody's subscriptions, the audit log."""


OPEN_RIGHTS: Final = frozenset({Right.READ, Right.OPERATE, Right.UNSUBSCRIBE})
"""What anybody may do."""
_VOLUNTEER: Final = OPEN_RIGHTS | {Right.SURVEY, Right.REPORT}
_ANALYST: Final = _VOLUNTEER | {Right.REVIEW, Right.ASSIGN, Right.SEE_PEOPLE}
ROLE_RIGHTS: Final[Mapping[Role, frozenset[Right]]] = MappingProxyType(
    {
        Role.PUBLIC: OPEN_RIGHTS,
        Role.VOLUNTEER: _VOLUNTEER,
        Role.ANALYST: _ANALYST,
        Role.ADMINISTRATOR: frozenset(Right),
    }
)
