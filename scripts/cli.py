"""The command `sylvigie`."""

from __future__ import annotations

import datetime as dt
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.evaluate_command import evaluate
from scripts.exit_codes import ExitCode, exit_code_of
from scripts.layers_command import layers
from scripts.models_command import models
from scripts.people_commands import user
from scripts.rules_command import rules_app
from scripts.store_commands import db, export, ingest, serve, store_months, token
from scripts.train_data_command import train
from scripts.train_model_command import train_abuse_model, train_model
from tiles.errors import AreaError, SylvigieError

if TYPE_CHECKING:
    from api.settings import Settings
    from scripts.monthly import RunRequest
    from tiles.engine import ChangeParams

_CATALOG_HELP = (
    "Archive to read: earth-search-c1, earth-search, cdse, planetary-computer; https://host/stac#collection of any "
    "STAC API; path or URL of a static catalogue; folder of .SAFE products. By default SYLVIGIE_CATALOGUE."
)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
reference = typer.Typer(help="What a tile's intact forest looks like.", no_args_is_help=True)
app.add_typer(reference, name="reference")
app.add_typer(train, name="train")
train.command("model")(train_model)
train.command("abuse")(train_abuse_model)
app.command("evaluate")(evaluate)
app.add_typer(models, name="models")
app.add_typer(rules_app, name="rules")
app.add_typer(layers, name="layers")
app.command("ingest")(ingest)
app.add_typer(db, name="db")
app.add_typer(token, name="token")
app.add_typer(user, name="user")
app.command("serve")(serve)
app.command("export")(export)

_Tiles = Annotated[str, typer.Option(help="france, names such as 31TFJ,31TGJ, or a file with one on each line.")]
_Scheduler = Annotated[str | None, typer.Option(help="Cluster: address of its scheduler, tcp://HOST:PORT.")]
_DataDir = Annotated[
    Path | None, typer.Option(help="Data directory: states, alerts, records. By default SYLVIGIE_DATA_DIR.")
]
_Catalog = Annotated[str | None, typer.Option(help="Archive to read, as of scan.")]
_ForestMask = Annotated[Path | None, typer.Option(help="Forest: polygons, or a raster that is not zero in forest.")]
_MinAreaHa = Annotated[float, typer.Option(help="Smallest alert, in hectares.")]
_Threads = Annotated[int | None, typer.Option(min=1, help="Threads of a tile; as many as processors by default.")]


@app.callback()
def sylvigie() -> None:
    """Sylvigie, a satellite watch on forests: Sentinel-2 images in, clear-cut alerts out."""


@app.command()
def scan(
    month: Annotated[str, typer.Option(help="Month to scan, YYYY-MM.")],
    out: Annotated[Path, typer.Option(help="Folder for alerts.geojson, the change map and the record.")],
    catalog: Annotated[str | None, typer.Option(help=_CATALOG_HELP)] = None,
    aoi: Annotated[Path | None, typer.Option(help="Area of interest: polygons in any format of GDAL.")] = None,
    forest_mask: Annotated[
        Path | None, typer.Option(help="Forest: polygons, or a raster that is not zero in forest.")
    ] = None,
    min_area_ha: Annotated[float, typer.Option(help="Smallest alert, in hectares.")] = 0.5,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; as many as processors by default.")] = None,
) -> None:
    """Scan a month of Sentinel-2 for clear-cuts."""
    # Not at the top: these take a second to import, which --help need not wait for.
    from api.settings import data_folder, load_settings
    from detector.layers.forest_mask import forest_of_layers
    from detector.params import ChipParams, PatchParams
    from detector.pipeline import ScanParams
    from scripts.report import print_result, run_with_report
    from scripts.works import layers_and_rules, patch_scorer
    from tiles.catalog import open_catalogue
    from tiles.month import Month
    from tiles.watch import WatchedArea

    settings, data_dir = load_settings(), data_folder(None)
    wanted = Month.parse(month)
    params = ScanParams(_change_params(settings), PatchParams(min_area_ha=min_area_ha))
    watched = WatchedArea.open(forest_mask or settings.forest_mask, aoi)
    result, cost = run_with_report(
        open_catalogue(catalog or settings.catalogue, settings.credentials()),
        wanted,
        watched,
        out,
        params,
        today=dt.datetime.now(dt.UTC).date(),
        threads=threads or settings.threads,
        max_requests_per_host=settings.max_requests_per_host,
        appraiser=layers_and_rules(data_dir, settings.rules),
        scorer=patch_scorer(data_dir),
        forest=forest_of_layers(data_dir),
        chips=ChipParams(),
    )
    print_result(result, cost, out)
    if not result.complete:
        raise typer.Exit(ExitCode.INCOMPLETE)


@app.command()
def monthly(
    month: Annotated[str | None, typer.Option(help="Month, YYYY-MM; by default the last one that is over.")] = None,
    tiles: _Tiles = "france",
    scheduler: _Scheduler = None,
    data_dir: _DataDir = None,
    catalog: _Catalog = None,
    forest_mask: _ForestMask = None,
    min_area_ha: _MinAreaHa = 0.5,
    threads: _Threads = None,
    no_build: Annotated[bool, typer.Option("--no-build", help="A tile without a reference fails.")] = False,
) -> None:
    """Run a month over many tiles: what cron calls."""
    from api.settings import load_settings
    from scripts.monthly import run_month
    from scripts.works import TrackAlerts, layers_and_rules, patch_scorer, work_tile

    now = dt.datetime.now(dt.UTC)
    request = _request(
        month,
        tiles,
        scheduler,
        data_dir,
        catalog,
        forest_mask,
        min_area_ha,
        threads,
        now.date(),
        may_build=not no_build,
    )
    request = replace(request, scorer=patch_scorer(request.root))
    appraiser = layers_and_rules(request.root, load_settings().rules)
    track = TrackAlerts(
        request.catalogue, request.credentials, request.params, request.max_requests_per_host, appraiser
    )
    raise typer.Exit(run_month(request, work_tile, track, now, store_months))


@reference.command("build")
def reference_build(
    tile: Annotated[str, typer.Option(help="As --tiles of monthly: 31TFJ, a list, a file, or france.")],
    month: Annotated[str | None, typer.Option(help="First month that it is to serve; the last that is over.")] = None,
    scheduler: _Scheduler = None,
    data_dir: _DataDir = None,
    catalog: _Catalog = None,
    forest_mask: _ForestMask = None,
    threads: _Threads = None,
) -> None:
    """Build the references of tiles from the years before, once."""
    from scripts.monthly import build_references
    from scripts.works import build_reference

    now = dt.datetime.now(dt.UTC)
    request = _request(month, tile, scheduler, data_dir, catalog, forest_mask, 0.5, threads, now.date())
    raise typer.Exit(build_references(request, build_reference, now))


def _request(
    month: str | None,
    tiles: str,
    scheduler: str | None,
    data_dir: Path | None,
    catalog: str | None,
    forest_mask: Path | None,
    min_area_ha: float,
    threads: int | None,
    today: dt.date,
    *,
    may_build: bool = True,
) -> RunRequest:
    """What a run over many tiles is asked for, by options."""
    from api.settings import load_settings
    from detector.params import PatchParams
    from detector.pipeline import ScanParams
    from scripts.monthly import RunRequest, newest_whole_month
    from tiles.month import Month
    from tiles.tile_names import parse_tiles

    settings = load_settings()
    mask = forest_mask or settings.forest_mask
    if mask is not None and not mask.expanduser().exists():
        raise AreaError(f"There is no forest mask {mask}: give the path of polygons or of a raster.")
    return RunRequest(
        month=newest_whole_month(today) if month is None else Month.parse(month),
        tiles=parse_tiles(tiles),
        data_dir=data_dir or settings.data_dir,
        catalogue=catalog or settings.catalogue,
        credentials=settings.credentials(),
        forest_mask=mask,
        params=ScanParams(_change_params(settings), PatchParams(min_area_ha=min_area_ha)),
        threads=threads or settings.threads,
        max_requests_per_host=settings.max_requests_per_host,
        may_build=may_build,
        scheduler=scheduler,
    )


def _change_params(settings: Settings) -> ChangeParams:
    """What is a loss, and what is read for it, by settings."""
    from tiles.clear import ClearParams
    from tiles.engine import ChangeParams
    from tiles.false_cloud import FalseCloudParams

    return ChangeParams(
        clear=ClearParams(least_days_saved=settings.least_days_saved),
        false_clouds=FalseCloudParams() if settings.false_clouds else None,
    )


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the archive, the results and the picture.")] = Path(
        "sylvigie-demo"
    ),
) -> None:
    """Scan real images of a Romanian forest, print its alerts and draw them."""
    from scripts.demo import run_demo

    run_demo(out)


def main() -> None:
    """Run the command; what is wrong is said in one sentence."""
    # Rasters without a place are refused with a reason of our own.
    warnings.filterwarnings("ignore", message="Dataset has no geotransform")
    try:
        app()
    except SylvigieError as error:
        print(f"sylvigie: {error}", file=sys.stderr)
        sys.exit(exit_code_of(error))
