"""Shapes of what is sent and answered about people."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from api.identity.accounts import Person
from api.identity.callers import Caller
from api.identity.roles import Right, Role

#: A shorter or longer one is refused in words where it is set; here only what would keep the service at work.
_Password = Annotated[SecretStr, Field(min_length=1, max_length=200)]
_Email = Annotated[str, Field(max_length=254, examples=["zoe@example.org"])]
_Link = Annotated[SecretStr, Field(min_length=20, max_length=100, description="What stands behind the link's #.")]
_Departements = Annotated[list[str], Field(max_length=110, examples=[["40", "33"]])]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Credentials(_Sent):
    """What signs in."""

    email: _Email
    password: _Password


class NewInvitation(_Sent):
    """Who is to be invited."""

    email: _Email
    role: Role
    departements: _Departements = []


class Acceptance(_Sent):
    """What makes an account of an invitation."""

    token: _Link
    name: str = Field(min_length=1, max_length=120)
    password: _Password


class NewReset(_Sent):
    """Whose password is to be set anew."""

    email: _Email


class NewPassword(_Sent):
    """A password, by a link."""

    token: _Link
    password: _Password


class NewKey(_Sent):
    """A key to be made."""

    name: str = Field(min_length=1, max_length=64, examples=["qgis"])
    rights: list[Right] = Field(default=[], max_length=20, description="Of one's own; reading is in each.")
    days: int = Field(default=365, ge=1, le=730)


class PersonChange(_Sent):
    """What is to be another; what is left out stays."""

    role: Role | None = None
    departements: _Departements | None = None


class Me(BaseModel):
    """Who asks."""

    name: str | None = Field(description="None for who has not signed in.")
    role: Role
    rights: list[Right]
    departements: list[str]
    csrf_token: str | None = Field(description="Of the session; sent back in X-CSRF-Token.")

    @classmethod
    def of(cls, caller: Caller, name: str | None, csrf: str | None) -> Self:
        """Of a caller."""
        return cls(
            name=name,
            role=caller.role,
            rights=sorted(caller.rights),
            departements=sorted(caller.departements),
            csrf_token=csrf,
        )


class PersonAnswer(BaseModel):
    """Somebody, for who manages accounts."""

    id: int
    name: str
    email: str | None
    role: Role
    departements: list[str]
    created_at: dt.datetime
    disabled_at: dt.datetime | None
    by_provider: bool = Field(description="Signs in by OpenID Connect.")

    @classmethod
    def of(cls, person: Person) -> Self:
        """Of somebody."""
        return cls(
            id=person.seq,
            name=person.name,
            email=person.email,
            role=person.role,
            departements=list(person.departements),
            created_at=person.created_at,
            disabled_at=person.disabled_at,
            by_provider=person.by_provider,
        )


class People(BaseModel):
    """All that have or had an account."""

    people: list[PersonAnswer]


class OneTimeLink(BaseModel):
    """A link that is good once."""

    link: str


class Told(BaseModel):
    """The same whatever was the case."""

    told: str


class KeyAnswer(BaseModel):
    """A key, without itself."""

    id: int
    name: str
    rights: list[Right]
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None


class Keys(BaseModel):
    """One's keys."""

    keys: list[KeyAnswer]


class MadeKey(BaseModel):
    """A key that was made; it is shown this once."""

    id: int
    key: str


class PersonalData(BaseModel):
    """All that is kept of a person, table by table."""

    data: dict[str, list[dict[str, Any]]]
