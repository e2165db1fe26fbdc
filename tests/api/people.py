"""People of a store, each with a role, and a service in which they are signed in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import sqlalchemy as sa
from pydantic import SecretStr
from starlette.requests import Request
from starlette.testclient import TestClient

from api import access
from api.identity.callers import ANYBODY, Caller
from api.identity.roles import ROLE_RIGHTS, Role
from api.main import create_app
from api.settings import Settings
from api.store.database import Database
from api.store.tables import store_state, users

HEADER = "X-Test-Person"


def person(database: Database, name: str, role: Role, departements: str = "") -> Caller:
    """Somebody who has an account."""
    row = {"name": name, "email": f"{name}@example.org", "role": role.value, "created_at": dt.datetime.now(dt.UTC)}
    with database.altering() as connection:
        seq = connection.execute(sa.insert(users).returning(users.c.seq), row).scalar_one()
        connection.execute(sa.update(store_state).values(accounts=store_state.c.accounts + 1))
    sees_all = role in (Role.ANALYST, Role.ADMINISTRATOR)
    return Caller(
        f"user:{seq}",
        ROLE_RIGHTS[role],
        user_seq=seq,
        role=role,
        departements=frozenset(departements.split()),
        sees_all=sees_all,
    )


@contextmanager
def service(database: Database, people: dict[str, Caller], **settings: Any) -> Iterator[TestClient]:
    """A service with accounts, where a header of the tests says who calls; nobody is the public."""

    async def who(request: Request) -> Caller:
        return people.get(request.headers.get(HEADER, ""), ANYBODY)

    url = SecretStr(database.url.render_as_string(hide_password=False))
    with (
        mock.patch.object(access, "caller_of", who),
        mock.patch.object(access, "_says_who", return_value=True),
        TestClient(create_app(Settings(database_url=url, **settings)), raise_server_exceptions=False) as client,
    ):
        yield client


def by(name: str) -> dict[str, str]:
    """Headers of a request of somebody's."""
    return {HEADER: name}
