"""`sylvigie user`: the first administrator is made on the machine, and the password is on no command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner

from api.identity import passwords
from api.store.database import Database, database_url
from api.store.reading import state_of
from api.store.upgrading import upgrade
from scripts.cli import app
from tiles.errors import ConflictError, InvalidParameterError, NotFoundError

EMAIL, PASSWORD = "zoe@example.org", "forêt de Tronçais\n"


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    database = Database(database_url(None, tmp_path))
    upgrade(database)
    database.close()
    monkeypatch.setenv("SYLVIGIE_DATA_DIR", str(tmp_path))
    return tmp_path


def _user(*words: str, given: str = "") -> str:
    return CliRunner().invoke(app, ["user", *words], input=given, catch_exceptions=False).output


def test_accounts_are_made_listed_invited_and_ended(data_dir: Path) -> None:
    assert _user("create", EMAIL, "--name", "Zoé", "--role", "administrator", given=PASSWORD) == "1: administrator.\n"
    assert _user("create", "ana@example.org", "--name", "Ana", "--departement", "2A", given=PASSWORD).startswith("2")
    database = Database(database_url(None, data_dir))
    assert state_of(database).accounts
    database.close()
    assert _user("invite", "new@example.org", "--role", "analyst").startswith("http://127.0.0.1:8000/invitation#")
    assert _user("reset", EMAIL).startswith("http://127.0.0.1:8000/reset#")
    assert _user("disable", "ana@example.org") == "2: disabled.\n"
    lines = [json.loads(line) for line in _user("list").splitlines()]
    assert [(line["name"], line["disabled"] is None) for line in lines] == [("Zoé", True), ("Ana", False)]
    assert lines[1]["departements"] == ["2A"]


def test_what_will_not_do_is_told(data_dir: Path) -> None:
    new = ("create", EMAIL, "--name", "Zoé", "--role")
    with pytest.raises(InvalidParameterError, match="12 to 200"):
        _user(*new, "administrator", given="short\n")
    with pytest.raises(InvalidParameterError, match="king is no role"):
        _user(*new, "king", given=PASSWORD)
    _user(*new, "administrator", given=PASSWORD)
    with pytest.raises(ConflictError, match="already"):
        _user(*new, "administrator", given=PASSWORD)
    with pytest.raises(ConflictError, match="last administrator"):
        _user("disable", EMAIL)
    with pytest.raises(NotFoundError):
        _user("reset", "nobody@example.org")
