"""The commands of the store: `ingest`, `db`, `token`, `serve`."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from api.store.database import Database
    from api.store.ingesting import IngestResult
    from api.store.scan_files import ScanFiles
    from tiles.month import Month

db = typer.Typer(help="The store of alerts: made, checked, backed up.", no_args_is_help=True)
token = typer.Typer(help="Tokens, by which programs may write to the service.", no_args_is_help=True)

_DataDir = Annotated[Path | None, typer.Option(help="Data directory. By default SYLVIGIE_DATA_DIR.")]


def ingest(
    folders: Annotated[list[Path], typer.Argument(help="Outputs of scan, or months/<month> of the data directory.")],
    data_dir: _DataDir = None,
) -> None:
    """Put what scans found into the store; as often as one likes."""
    from api.settings import data_folder
    from api.store.scan_files import read_scan

    root = data_folder(data_dir)
    # All are read before the first is taken: a damaged one is told before anything is written.
    files = [read_scan(folder) for folder in folders]
    for result in put_into_store(files, root):
        print(ingested_line(result))


def put_into_store(files: list[ScanFiles], root: Path) -> list[IngestResult]:
    """Put scans into the store of a data directory, made where there is none, and its layers' zones with them.

    Raises
    ------
    tiles.errors.StoreError
        When the store is of another version, or cannot be written.
    """
    from api.exporting import write_stable
    from api.identity.retention import forget_old
    from api.settings import load_settings
    from api.store.ingesting import ingest as put
    from api.store.zones import take_zones
    from detector.layers.store import LAYERS_FOLDER, LayerStore

    database = open_store(root, make=True)
    try:
        take_zones(database, LayerStore(root / LAYERS_FOLDER))
        results = [put(database, each, data_dir=root) for each in files]
        write_stable(database, load_settings(), root)
        forget_old(database, load_settings().personal_days, dt.datetime.now(dt.UTC))
        return results
    finally:
        database.close()


def store_months(months: Sequence[Month], data_dir: Path) -> list[str]:
    """Put months of a data directory into its store, and write the alerts to their stable path.

    Raises
    ------
    tiles.errors.SylvigieError
        When the store does not take them; those before it are in it.
    """
    from api.store.scan_files import read_scan
    from detector.track_month import MONTHS_FOLDER

    files = [read_scan(data_dir / MONTHS_FOLDER / str(month)) for month in months]
    return [ingested_line(result) for result in put_into_store(files, data_dir)]


def ingested_line(result: IngestResult) -> str:
    """What came of a scan, in a line."""
    if result.already_there:
        return f"{result.scan}: in the store already."
    told = [f"{result.new} new", f"{result.changed} changed", f"{result.unchanged} unchanged"]
    told += [f"{result.superseded} closed, told otherwise or not any more"] if result.superseded else []
    told += [f"{result.older} of which a later month is known"] if result.older else []
    told += [f"{result.left_standing} of earlier scans left standing"] if result.left_standing else []
    told += [f"{result.beside} decided by people: what it says is kept beside"] if result.beside else []
    return f"{result.scan}: {', '.join(told)}."


def open_store(root: Path, *, make: bool = False) -> Database:
    """The store of a data directory, or of SYLVIGIE_DATABASE_URL.

    Parameters
    ----------
    root
        The data directory.
    make
        Whether one is made where there is none.

    Raises
    ------
    tiles.errors.StoreError
        When it is not there, or of another version.
    """
    from api.store.upgrading import SchemaState, require_current, schema_state, upgrade

    database = _database(root)
    if make and schema_state(database) is SchemaState.ABSENT:
        upgrade(database)
    require_current(database)
    return database


def _database(root: Path) -> Database:
    """What is at the store's address, whatever its version."""
    from api.settings import load_settings
    from api.store.database import Database

    return Database(load_settings().model_copy(update={"data_dir": root}).store_url())


def export(
    out: Annotated[Path, typer.Argument(help="File to write.")],
    form: Annotated[
        str | None,
        typer.Option("--format", help="geojson, geojsonl, gpkg, fgb, parquet, csv, xlsx, kml, gpx; else by the name."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="Filter, as of the API: departement=40, min_area_ha=2; may be repeated."),
    ] = None,
    data_dir: _DataDir = None,
) -> None:
    """Write the alerts of the store to a file."""
    from api.exporting import export_file
    from api.exports import ExportFormat
    from api.settings import data_folder, load_settings
    from api.store.filters import AlertFilter
    from tiles.errors import FilterError, InvalidParameterError

    asked: dict[str, str] = {}
    for each in where or []:
        name, equals, value = each.partition("=")
        if not equals or name in asked:
            raise FilterError(f"--where {each} will not do: give each filter once, as departement=40.")
        asked[name] = value
    by_name = {each.suffix: each for each in ExportFormat}
    wanted = by_name.get(out.suffix.lower()) if form is None else next((f for f in ExportFormat if f == form), None)
    if wanted is None:
        raise InvalidParameterError(f"{form or out.name} is no form of exports: there are {', '.join(ExportFormat)}.")
    database = open_store(data_folder(data_dir))
    number = export_file(database, load_settings(), AlertFilter.of(asked), wanted, out)
    print(f"{out}: {number} alerts.")


@db.command("upgrade")
def upgrade_store(data_dir: _DataDir = None) -> None:
    """Make the store, or bring it to this version."""
    from api.settings import data_folder
    from api.store.upgrading import upgrade

    database = _database(data_folder(data_dir))
    before, after = upgrade(database)
    done = "is of this version already" if before == after else f"brought from {before or 'nothing'} to {after}"
    print(f"{database.name}: {done}.")


@db.command("check")
def check_store(data_dir: _DataDir = None) -> None:
    """Check that the store is whole: the engine's own check, and what rows say of each other."""
    from api.settings import data_folder
    from api.store.copying import check
    from scripts.exit_codes import ExitCode

    database = open_store(data_folder(data_dir))
    faults = check(database)
    for fault in faults:
        print(fault)
    if faults:
        raise typer.Exit(ExitCode.INPUT)
    print(f"{database.name}: whole.")


@db.command("backup")
def backup_store(
    file: Annotated[Path, typer.Argument(help="File to write: SQLite, whatever the engine.")], data_dir: _DataDir = None
) -> None:
    """Copy the store into one file, while it is in use."""
    from api.settings import data_folder
    from api.store.copying import backup

    database = open_store(data_folder(data_dir))
    rows = backup(database, file)
    print(f"{file}: {rows} rows of {database.name}.")


@db.command("restore")
def restore_store(
    file: Annotated[Path, typer.Argument(help="What `sylvigie db backup` wrote.")], data_dir: _DataDir = None
) -> None:
    """Put a backup into a store that is not there, or empty."""
    from api.settings import data_folder
    from api.store.copying import restore

    database = _database(data_folder(data_dir))
    rows = restore(file, database)
    print(f"{database.name}: {rows} rows of {file}.")


@db.command("copy")
def copy_store(
    source: Annotated[str, typer.Option("--from", help="sqlite:///path or postgresql://…")],
    target: Annotated[str, typer.Option("--to", help="The same; not there, or empty.")],
) -> None:
    """Copy a store to another engine, without loss."""
    from api.settings import data_folder
    from api.store.copying import copy
    from api.store.database import Database, database_url

    root = data_folder(None)
    rows = copy(Database(database_url(source, root)), Database(database_url(target, root)))
    print(f"{rows} rows copied and compared.")


@token.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name, by which it can be revoked.")],
    right: Annotated[list[str], typer.Option(help="What it may do: review.")],
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days that it is good for; for good without.")
    ] = None,
    data_dir: _DataDir = None,
) -> None:
    """Make a token, and print it: this once."""
    from api.access import create_token
    from api.identity.roles import Right
    from api.settings import data_folder
    from tiles.errors import InvalidParameterError

    try:
        rights = frozenset(Right(each) for each in right)
    except ValueError as error:
        raise InvalidParameterError(f"{error}: a token is for review.") from error
    ends = None if days is None else dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    print(create_token(open_store(data_folder(data_dir)), name, rights, ends))


@token.command("list")
def list_all(data_dir: _DataDir = None) -> None:
    """List the tokens there ever were: a JSON line each, without the tokens themselves."""
    from api.access import list_tokens
    from api.settings import data_folder

    for each in list_tokens(open_store(data_folder(data_dir))):
        moments = {"created": each.created_at, "expires": each.expires_at, "revoked": each.revoked_at}
        told = {key: None if at is None else at.isoformat(timespec="seconds") for key, at in moments.items()}
        print(json.dumps({"name": each.name, "rights": list(each.rights)} | told, ensure_ascii=False))


@token.command("revoke")
def revoke(name: Annotated[str, typer.Argument(help="Of the token.")], data_dir: _DataDir = None) -> None:
    """End a token."""
    from api.access import revoke_token
    from api.settings import data_folder

    revoke_token(open_store(data_folder(data_dir)), name)
    print(f"{name}: revoked.")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; by default this machine alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    data_dir: _DataDir = None,
) -> None:
    """Serve the store over HTTP."""
    from scripts.serving import run_server

    run_server(host, port, workers, data_dir)
