"""The command `sylvigie`."""

from __future__ import annotations

import datetime as dt
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from tiles.errors import SylvigieError

EXIT_INPUT = 2
"""The input will not do: nothing was written."""
EXIT_INCOMPLETE = 3
"""Done, but scenes or tiles that should have been read were not; they are named."""

_CATALOG_HELP = (
    "Archive to read: earth-search-c1, earth-search, cdse, planetary-computer; https://host/stac#collection of any "
    "STAC API; path or URL of a static catalogue; folder of .SAFE products. By default SYLVIGIE_CATALOGUE."
)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


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
    from api.settings import load_settings
    from detector.params import PatchParams
    from detector.pipeline import ScanParams
    from scripts.report import print_result, run_with_report
    from tiles.catalog import open_catalogue
    from tiles.month import Month
    from tiles.watch import WatchedArea

    settings = load_settings()
    wanted = Month.parse(month)
    params = ScanParams(patches=PatchParams(min_area_ha=min_area_ha))
    watched = WatchedArea.open(forest_mask or settings.forest_mask, aoi)
    result, cost = run_with_report(
        open_catalogue(catalog or settings.catalogue, settings.credentials()),
        wanted,
        watched,
        out,
        params,
        today=dt.datetime.now(dt.UTC).date(),
        threads=threads or settings.threads,
    )
    print_result(result, cost, out)
    if not result.complete:
        raise typer.Exit(EXIT_INCOMPLETE)


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
        sys.exit(EXIT_INPUT)
