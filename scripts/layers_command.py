"""The command `sylvigie layers`: reference layers fetched, imported, listed, checked."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scripts.exit_codes import ExitCode
from tiles.errors import InvalidParameterError, LayerError

if TYPE_CHECKING:
    from detector.layers.definitions import Definition
    from detector.layers.importing import Imported
    from detector.layers.manifest import Manifest
    from detector.layers.store import LayerStore

_STALL_S = 300.0
"""Some services think for minutes before they begin to answer: 40 to 250 s have been seen of EFFIS."""

layers = typer.Typer(help="Reference layers: communes, forest, terrain, protected zones.", no_args_is_help=True)

_Names = Annotated[list[str], typer.Argument(help="Layers, as `sylvigie layers list` names them.")]
_DataDir = Annotated[Path | None, typer.Option(help="Data directory. By default SYLVIGIE_DATA_DIR.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")]


@layers.command("list")
def list_layers(data_dir: _DataDir = None, as_json: _Json = False) -> None:
    """List the layers: which are installed, of when, under which licence."""
    from detector.layers.definitions import definitions

    store = _store(data_dir)
    rows = [_row(what, store) for what in definitions().values()]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        _print_table(rows)


@layers.command("fetch")
def fetch_layers(
    names: _Names,
    departement: Annotated[
        str | None, typer.Option(help="Codes such as 40,2A, or `all` of metropolitan France.")
    ] = None,
    bbox: Annotated[str | None, typer.Option(help="West,south,east,north in degrees.")] = None,
    url: Annotated[
        str | None, typer.Option(help="Address of the service or of a file, in place of the known one.")
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="Checksum of the one file that is fetched.")] = None,
    alternative: Annotated[
        bool, typer.Option("--alternative", help="Ask the other service: BD Forêt's WFS, BD ALTI for elevation.")
    ] = False,
    data_dir: _DataDir = None,
) -> None:
    """Fetch layers from the services that publish them; what was cut short goes on from there."""
    from detector.layers.definitions import definition
    from detector.layers.download import Downloads
    from detector.layers.fetching import Fetching, Request
    from tiles.remote import RetryPolicy

    if url is not None and len(names) > 1:
        raise InvalidParameterError("--url is for one layer: fetch the others by commands of their own.")
    for name in names:
        definition(name)
    store, now = _store(data_dir), dt.datetime.now(dt.UTC)
    with _progress() as progress:
        downloads = Downloads(RetryPolicy(stall_timeout_s=_STALL_S), progress=progress)
        try:
            fetching = Fetching(store, downloads, now, tell=_tell)
            for name in names:
                request = Request(name, _departements(departement), _bbox(bbox), url, alternative, sha256)
                with _writing(store, name, now):
                    for imported in fetching.fetch(request):
                        _told(name, imported)
        finally:
            downloads.close()


@layers.command("import")
def import_layer(
    name: Annotated[str, typer.Argument(help="Layer, as `sylvigie layers list` names it.")],
    files: Annotated[list[Path], typer.Argument(help="Files: any format of GDAL, GeoParquet, or archives of them.")],
    layer: Annotated[str | None, typer.Option(help="Layer in a file of several.")] = None,
    where: Annotated[str | None, typer.Option(help="SQL condition on the file's columns.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="Standard column and the file's, such as code=ID_MNHN.")
    ] = None,
    crs: Annotated[str | None, typer.Option(help="CRS of a file that carries none, such as EPSG:2154.")] = None,
    keep_all: Annotated[bool, typer.Option("--keep-all", help="Take every feature, whatever its kind.")] = False,
    covers: Annotated[
        str | None,
        typer.Option(help="Ground that the file speaks of: codes of départements, france, extent, or a file."),
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="Add or replace this part; by default the whole layer is replaced.")
    ] = None,
    vintage: Annotated[str | None, typer.Option(help="Of when the file is, such as 2018-01-01.")] = None,
    data_dir: _DataDir = None,
) -> None:
    """Import files that you have: their columns are recognised, or told by --column."""
    import tempfile

    from detector.layers.archives import unpack
    from detector.layers.features import Reading
    from detector.layers.ground import EXTENT, parse_ground
    from detector.layers.importing import Whence, import_files
    from detector.layers.manifest import WHOLE

    store, now = _store(data_dir), dt.datetime.now(dt.UTC)
    for file in files:
        if not file.is_file():
            raise LayerError(f"There is no file {file}.")
    reading = Reading(layer=layer, where=where, columns=_columns(column), crs=crs, keep_all=keep_all)
    ground = None if covers is None else parse_ground(covers, store)
    whence = Whence(", ".join(file.name for file in files), vintage=vintage)
    with _writing(store, name, now), tempfile.TemporaryDirectory(prefix="sylvigie-") as folder:
        paths = [path for number, file in enumerate(files) for path in unpack(file, Path(folder) / str(number))]
        imported = import_files(
            store,
            name,
            paths,
            whence,
            now,
            reading=reading,
            ground=ground,
            by_extent=covers == EXTENT,
            part=part or WHOLE,
        )
    _told(name, imported)


@layers.command("check")
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Layers; all that are installed by default.")] = None,
    data_dir: _DataDir = None,
    as_json: _Json = False,
) -> None:
    """Look through what is kept: checksums, geometries, codes that must agree, age."""
    from detector.layers.checking import Severity, check_layers
    from detector.layers.definitions import definition

    for name in names or []:
        definition(name)
    found = check_layers(_store(data_dir), dt.datetime.now(dt.UTC).date(), tuple(names or ()))
    if as_json:
        print(json.dumps([vars(finding) for finding in found], indent=2, ensure_ascii=False))
    else:
        for finding in found:
            print(f"{finding.layer}: {finding.severity}: {finding.words}")
        if not found:
            print("All layers that are installed are sound.")
    if any(finding.severity is Severity.ERROR for finding in found):
        raise typer.Exit(ExitCode.INPUT)


def _store(data_dir: Path | None) -> LayerStore:
    from api.settings import data_folder
    from detector.layers.store import LAYERS_FOLDER, LayerStore

    return LayerStore(data_folder(data_dir) / LAYERS_FOLDER)


@contextmanager
def _writing(store: LayerStore, name: str, now: dt.datetime) -> Iterator[None]:
    """Hold the lock of a layer: two writers would take each other's files for leftovers."""
    from scripts.locks import locked

    with locked(store.folder.parent, f"layer-{name}", now):
        yield


def _departements(text: str | None) -> tuple[str, ...]:
    from detector.layers.insee import METROPOLITAN, is_departement

    if text is None:
        return ()
    if text == "all":
        return METROPOLITAN
    codes = tuple(code.strip().upper().zfill(2) for code in text.split(","))
    for code in codes:
        if not is_departement(code):
            raise InvalidParameterError(f"{code} is no code of a département: give some such as 40,2A.")
    return codes


def _bbox(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        west, south, east, north = (float(edge) for edge in text.split(","))
    except ValueError:
        raise InvalidParameterError(f"{text} is no bbox: give west,south,east,north in degrees.") from None
    return west, south, east, north


def _columns(given: list[str] | None) -> dict[str, str]:
    columns = {}
    for pair in given or []:
        standard, equals, source = pair.partition("=")
        if not (standard and equals and source):
            raise InvalidParameterError(f"--column {pair}: give the standard column and the file's, as code=ID_MNHN.")
        columns[standard] = source
    return columns


@contextmanager
def _progress() -> Iterator[Any]:
    """A bar for what comes over the network, where somebody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def show(name: str, there: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=there, total=total)

        yield show


def _tell(words: str) -> None:
    print(words, file=sys.stderr)


def _told(name: str, imported: Imported) -> None:
    part = imported.part
    counts = ", ".join(f"{number} {words}" for words, number in imported.counts.items() if number)
    rights = f"{part.origin.licence}, {part.origin.attribution}"
    print(f"{name}, part {imported.name}: {counts}; covers {part.ground}; {rights}")


def _row(what: Definition, store: LayerStore) -> dict[str, Any]:
    try:
        manifest, state = store.manifest(what.name), "installed"
    except LayerError:
        manifest, state = None, "broken"
    if manifest is None and state == "installed":
        state = "absent"
    service = what.source
    return {
        "name": what.name,
        "kind": str(what.kind),
        "title_fr": what.title_fr,
        "title_en": what.title_en,
        "state": state,
        **_kept(manifest),
        "licence": what.licence,
        "attribution": what.attribution,
        "page": what.page,
        "service": None if service is None else service.url,
        "service_confirmed": None if service is None else service.confirmed,
    }


def _kept(manifest: Manifest | None) -> dict[str, Any]:
    from detector.layers.manifest import all_files

    parts = {} if manifest is None else manifest.parts
    if not parts:
        return dict.fromkeys(("parts", "vintage", "fetched", "features", "size_bytes", "covers", "sha256"))
    features = [part.features for part in parts.values() if part.features is not None]
    return {
        "parts": list(parts),
        "vintage": "; ".join(dict.fromkeys(part.origin.vintage for part in parts.values())),
        "fetched": min(part.origin.fetched or part.origin.imported for part in parts.values()),
        "features": sum(features) if features else None,
        "size_bytes": sum(kept.size_bytes for part in parts.values() for kept in all_files(part)),
        "covers": "; ".join(dict.fromkeys(part.ground for part in parts.values())),
        "sha256": manifest.identity if manifest is not None else None,
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from scripts.report import output_console

    table = Table("Couche / layer", "Nom / title", "État / state", "Millésime / vintage", "Objets", "Mo", "Licence")
    words = {"installed": "installée", "absent": "absente", "broken": "ABÎMÉE / broken"}
    for row in rows:
        state = words[row["state"]]
        if row["state"] == "absent":
            state += " (import)" if row["service"] is None else "" if row["service_confirmed"] else " (URL à vérifier)"
        size = "" if row["size_bytes"] is None else f"{row['size_bytes'] / 1e6:.1f}"
        features = "" if row["features"] is None else f"{row['features']}"
        title = f"{row['title_fr']}\n{row['title_en']}"
        table.add_row(row["name"], title, state, row["vintage"] or "", features, size, row["licence"])
    output_console().print(table)
