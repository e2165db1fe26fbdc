"""The commands of accounts: the first administrator is made on the machine itself."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.store_commands import open_store

if TYPE_CHECKING:
    from api.identity.roles import Role

user = typer.Typer(help="People's accounts.", no_args_is_help=True)

_DataDir = Annotated[Path | None, typer.Option(help="Data directory. By default SYLVIGIE_DATA_DIR.")]
_Role = Annotated[str, typer.Option(help="volunteer, analyst or administrator.")]
_Departements = Annotated[str, typer.Option(help="Codes of a volunteer's départements, separated by commas.")]
_User = Annotated[int, typer.Argument(help="Number of the account, as `user list` tells it.")]


@user.command("create")
def create(
    name: Annotated[str, typer.Argument(help="By which the person is known here, and signs in.")],
    role: _Role,
    email: Annotated[str | None, typer.Option(help="Address for mail, by which one can sign in too.")] = None,
    departements: _Departements = "",
    data_dir: _DataDir = None,
) -> None:
    """Make an account; the password is asked for, or read from stdin."""
    from api.identity.passwords import hashed
    from api.identity.people import create_person
    from api.settings import data_folder

    wanted = _role(role)
    database = open_store(data_folder(data_dir))
    password = hashed(_password())
    with database.writing_aside() as writing:
        seq = create_person(writing, name, email, wanted, _codes(departements), password=password)
        writing.audit("command", "make account", f"user:{seq}", wanted.value)
    print(f"Account {seq}: {wanted.value}.")


@user.command("list")
def list_all(data_dir: _DataDir = None) -> None:
    """List the accounts: a JSON line each."""
    from api.identity.people import COMMAND, people_of
    from api.settings import data_folder
    from api.store.reports import note_read

    database = open_store(data_folder(data_dir))
    note_read(database, COMMAND, "accounts")
    for each in people_of(database):
        told = {"user": each.seq, "name": each.name, "email": each.email, "role": each.role.value}
        ended = None if each.disabled_at is None else each.disabled_at.isoformat(timespec="seconds")
        print(json.dumps(told | {"departements": list(each.departements), "disabled": ended}, ensure_ascii=False))


@user.command("invite")
def invite_somebody(
    email: Annotated[str, typer.Argument(help="Address for mail of whom is invited.")],
    role: _Role,
    departements: _Departements = "",
    data_dir: _DataDir = None,
) -> None:
    """Print a link by which somebody makes their account: once, within a week."""
    from api.identity.invitations import invite
    from api.identity.people import COMMAND
    from api.routes.auth import sign_in_address
    from api.settings import data_folder, load_settings

    token = invite(open_store(data_folder(data_dir)), email, _role(role), _codes(departements), COMMAND)
    print(sign_in_address(load_settings().public_url or "http://127.0.0.1:8000", token))


@user.command("reset")
def reset(number: _User, data_dir: _DataDir = None) -> None:
    """Print a link by which a person sets a new password: once, within an hour."""
    from api.identity.invitations import offer_reset
    from api.identity.people import COMMAND
    from api.routes.auth import sign_in_address
    from api.settings import data_folder, load_settings

    token = offer_reset(open_store(data_folder(data_dir)), number, COMMAND)
    print(sign_in_address(load_settings().public_url or "http://127.0.0.1:8000", token))


@user.command("disable")
def disable(number: _User, data_dir: _DataDir = None) -> None:
    """End an account, with its sessions and keys; what they wrote stays."""
    from api.identity.people import COMMAND, disable_person
    from api.settings import data_folder

    disable_person(open_store(data_folder(data_dir)), number, COMMAND)
    print(f"Account {number}: ended.")


@user.command("erase")
def erase(number: _User, data_dir: _DataDir = None) -> None:
    """Take away who somebody was: reports and reviews stay, of a person without a name."""
    from api.identity.people import COMMAND, erase_person
    from api.settings import data_folder

    erase_person(open_store(data_folder(data_dir)), number, COMMAND)
    print(f"Account {number}: erased.")


@user.command("data")
def data(number: _User, data_dir: _DataDir = None) -> None:
    """Print all that is kept of a person, as JSON."""
    from api.identity.people import COMMAND, data_of
    from api.settings import data_folder

    print(json.dumps(data_of(open_store(data_folder(data_dir)), number, COMMAND), ensure_ascii=False, indent=1))


@user.command("forget")
def forget(data_dir: _DataDir = None) -> None:
    """Forget personal data older than SYLVIGIE_PERSONAL_DAYS; the monthly run does it too."""
    from api.identity.people import forget_old
    from api.settings import data_folder, load_settings

    days = load_settings().personal_days
    print(json.dumps(forget_old(open_store(data_folder(data_dir)), days, dt.datetime.now(dt.UTC))))


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _role(name: str) -> Role:
    from api.identity.roles import Role
    from tiles.errors import InvalidParameterError

    try:
        return Role(name)
    except ValueError:
        raise InvalidParameterError("--role is volunteer, analyst or administrator.") from None


def _codes(text: str) -> list[str]:
    return [code.strip() for code in text.split(",") if code.strip()]
