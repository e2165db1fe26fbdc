"""The commands of accounts: `user`. The first administrator is made on the machine."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from api.identity.roles import Role

user = typer.Typer(help="Accounts of people.", no_args_is_help=True)

_DataDir = Annotated[Path | None, typer.Option(help="Data directory. By default SYLVIGIE_DATA_DIR.")]
_Email = Annotated[str, typer.Argument(help="E-mail of the account.")]
_Role = Annotated[str, typer.Option(help="volunteer, analyst or administrator.")]
_Departements = Annotated[
    list[str] | None, typer.Option("--departement", help="Of a volunteer, as 40 or 2A; may be repeated.")
]
_ACTOR = "command"


@user.command("create")
def create(
    email: _Email,
    name: Annotated[str, typer.Option(help="Name of the person.")],
    role: _Role = "volunteer",
    departement: _Departements = None,
    data_dir: _DataDir = None,
) -> None:
    """Make an account; the password is asked for, or read from the standard input."""
    from api.identity.accounts import checked_departements, checked_email, make_person
    from api.identity.passwords import hash_password
    from api.settings import data_folder
    from scripts.store_commands import open_store

    database = open_store(data_folder(data_dir))
    asked, departements = _role(role), checked_departements(departement or [])
    kept, address = hash_password(_password()), checked_email(email)
    with database.writing() as writing:
        seq = make_person(writing, name, address, asked, departements, password=kept)
        writing.audit(_ACTOR, "create person", f"user:{seq}", asked.value)
    print(f"{seq}: {asked.value}.")


@user.command("list")
def list_all(data_dir: _DataDir = None) -> None:
    """List accounts: a JSON line each. That they were read is noted."""
    from api.identity.accounts import list_people
    from api.settings import data_folder
    from scripts.store_commands import open_store

    for each in list_people(open_store(data_folder(data_dir)), _ACTOR):
        moments = {"created": each.created_at, "disabled": each.disabled_at}
        told = {key: None if at is None else at.isoformat(timespec="seconds") for key, at in moments.items()}
        person = {"id": each.seq, "name": each.name, "email": each.email, "role": each.role.value}
        print(json.dumps(person | {"departements": each.departements} | told, ensure_ascii=False))


@user.command("disable")
def disable(email: _Email, data_dir: _DataDir = None) -> None:
    """End an account, with its sessions and keys; what its owner wrote stays."""
    from api.identity.accounts import disable_person, seq_of
    from api.settings import data_folder
    from scripts.store_commands import open_store

    database = open_store(data_folder(data_dir))
    seq = seq_of(database, email)
    disable_person(database, seq, _ACTOR)
    print(f"{seq}: disabled.")


@user.command("data")
def data(email: _Email, data_dir: _DataDir = None) -> None:
    """Print all that is kept of somebody, as JSON."""
    from api.identity.accounts import seq_of
    from api.identity.privacy import data_of
    from api.settings import data_folder
    from scripts.store_commands import open_store

    database = open_store(data_folder(data_dir))
    print(json.dumps(data_of(database, seq_of(database, email), _ACTOR), ensure_ascii=False, indent=1))


@user.command("erase")
def erase(email: _Email, data_dir: _DataDir = None) -> None:
    """Take away who somebody was; reviews and reports stay, of a row that names nobody."""
    from api.identity.accounts import seq_of
    from api.identity.privacy import erase_person
    from api.settings import data_folder
    from scripts.store_commands import open_store

    database = open_store(data_folder(data_dir))
    seq = seq_of(database, email)
    erase_person(database, seq, _ACTOR)
    print(f"{seq}: erased.")


@user.command("forget")
def forget(data_dir: _DataDir = None) -> None:
    """Forget personal data older than SYLVIGIE_PERSONAL_DAYS; the monthly run does it too."""
    from api.identity.retention import forget_old
    from api.settings import data_folder, load_settings
    from scripts.store_commands import open_store

    days = load_settings().personal_days
    print(json.dumps(forget_old(open_store(data_folder(data_dir)), days, dt.datetime.now(dt.UTC))))


@user.command("invite")
def invite(
    email: _Email, role: _Role = "volunteer", departement: _Departements = None, data_dir: _DataDir = None
) -> None:
    """Print a link by which somebody makes their account: good once, for seven days."""
    from api.identity.invitations import Invited
    from api.identity.invitations import invite as make
    from api.settings import data_folder
    from scripts.store_commands import open_store

    invited = Invited(email, _role(role), tuple(departement or ()))
    token = make(open_store(data_folder(data_dir)), invited, _ACTOR)
    print(f"{_public_url()}/invitation#{token}")


@user.command("reset")
def reset(email: _Email, data_dir: _DataDir = None) -> None:
    """Print a link by which somebody sets their password anew: good once, for an hour."""
    from api.identity.invitations import make_reset
    from api.settings import data_folder
    from scripts.store_commands import open_store
    from tiles.errors import NotFoundError

    token = make_reset(open_store(data_folder(data_dir)), email, _ACTOR)
    if token is None:
        raise NotFoundError("There is no good account with a password of this e-mail.")
    print(f"{_public_url()}/reset#{token}")


def _role(name: str) -> Role:
    from api.identity.roles import Role
    from tiles.errors import InvalidParameterError

    if name not in set(Role) - {Role.PUBLIC}:
        raise InvalidParameterError(f"{name} is no role: there are volunteer, analyst and administrator.")
    return Role(name)


def _password() -> str:
    """Never an option: a list of processes would show it."""
    from tiles.errors import InvalidParameterError

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Mot de passe / password: ")
    if getpass.getpass("Encore / again: ") != first:
        raise InvalidParameterError("The two passwords are not the same: begin again.")
    return first


def _public_url() -> str:
    from api.settings import load_settings

    return (load_settings().public_url or "http://127.0.0.1:8000").rstrip("/")
