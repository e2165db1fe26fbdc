"""The commands `sylvigie train data ...`: training data that say what they are."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.exit_codes import ExitCode

if TYPE_CHECKING:
    from models.dataset import TrainingTable

train = typer.Typer(help="The models: their training data.", no_args_is_help=True)
data = typer.Typer(help="Training data: simulated, from labelled points, of one's own.", no_args_is_help=True)
train.add_typer(data, name="data")

_Out = Annotated[Path, typer.Option(help="GeoParquet to write; NAME.events.parquet goes beside it.")]


@data.command("simulate")
def simulate_data(
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same table.")],
    out: _Out,
    draws: Annotated[int, typer.Option(min=1, help="Landscapes; about 35 patches come of each.")] = 150,
    threads: Annotated[int | None, typer.Option(min=1, help="Processes; as many as processors by default.")] = None,
) -> None:
    """Lay simulated events into real images (PyPI's nrt), scan them, and write what is found."""
    from models.dataset import write_table
    from models.simulate import SimulationParams, simulate
    from tiles.engine import available_threads

    workers = min(draws, threads or available_threads())
    result = simulate(seed, SimulationParams(draws=draws), workers=workers)
    content = write_table(result.table, out, {"made_by": "sylvigie train data simulate", "seed": seed, "draws": draws})
    _print_table(result.table, content, out)
    print(f"Left out: {result.count.mixed} patches half of an event, {result.count.two_places} over two places")


@data.command("extract")
def extract_data(
    points: Annotated[Path, typer.Option(help="DISFOR's CSV, or points or polygons with date and cause.")],
    out: _Out,
    catalog: Annotated[str | None, typer.Option(help="Archive to read, as of scan.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; as many as processors by default.")] = None,
) -> None:
    """Look labelled points or polygons up in the archive, and rebuild their patches."""
    from api.settings import load_settings
    from models.points import extract, read_labels
    from tiles.catalog import open_catalogue

    settings = load_settings()
    labels = read_labels(points)
    for name, number in sorted(labels.left_out.items()):
        print(f"Left out: {number} labels {name!r}, which tell no cause")
    result = extract(
        labels.labels,
        open_catalogue(catalog or settings.catalogue, settings.credentials()),
        out,
        today=dt.datetime.now(dt.UTC).date(),
        threads=threads or settings.threads,
        max_requests_per_host=settings.max_requests_per_host,
    )
    _print_table(result.table, result.table.content_hash, out)
    print(f"Areas scanned: {result.scans - result.resumed}, kept from before: {result.resumed}")
    print(f"Patches that are no label's: {result.unlabelled}")
    for name, reason in {**result.failed, **result.missing_scenes}.items():
        print(f"Missing: {name}: {reason}")
    if result.failed or result.missing_scenes:
        print(f"{len(result.failed)} scans and {len(result.missing_scenes)} scenes are missing")
        raise typer.Exit(ExitCode.INCOMPLETE)


@data.command("import")
def import_data(
    file: Annotated[Path, typer.Option(help="CSV or GeoParquet: features, place, cause or is_clearcut.")],
    out: _Out,
) -> None:
    """Take in a table of one's own, if it fits."""
    from models.dataset import write_table
    from models.doors import read_own

    own = read_own(file)
    content = write_table(own.table, out, {"made_by": "sylvigie train data import", "file": file.name})
    _print_table(own.table, content, out)
    if own.ignored:
        print(f"Columns without a meaning here, left aside: {', '.join(own.ignored)}")


def _print_table(table: TrainingTable, content: str, out: Path) -> None:
    from models.schema import Source

    rows, events = table.rows, table.events
    simulated = bool((rows["source"] == Source.SIMULATED.value).any())
    print(f"{'SIMULATED training table' if simulated else 'Training table'}: {len(rows)} patches, {out}")
    print(f"Content: sha256 {content}")
    print(f"{'cause':<12}{'patches':>9}{'events':>9}{'found':>9}")
    for cause in sorted({*rows["cause"], *events["cause"]}):
        laid = events[events["cause"] == cause]
        found = f"{laid['found'].mean():9.2f}" if len(laid) else f"{'':>9}"
        print(f"{cause:<12}{(rows['cause'] == cause).sum():>9}{len(laid):>9}{found}")
    large = events[(events["cause"] == "clear_cut") & (events["event_area_ha"] >= 0.5)]
    if len(large):
        seen = large[large["n_dates_after"] >= 2]
        print(f"Clear-cuts of 0.5 ha or more found: {large['found'].mean():.3f} of {len(large)}", end="")
        print(f"; of {len(seen)} with two clear dates after: {seen['found'].mean():.3f}" if len(seen) else "")
    dated = rows[(rows["cause"] == "clear_cut") & rows["event_date"].notna() & rows["last_intact"].notna()]
    if len(dated):
        held = dated["event_date"].between(dated["last_intact"], dated["first_low"])
        print(f"True date of clear-cuts within last_intact..first_low: {held.mean():.3f} of {len(dated)}")


@data.command("export")
def export_data(
    out: Annotated[Path, typer.Option(help="GeoParquet to write; NAME.disagreement.parquet goes beside it.")],
    abuse: Annotated[Path | None, typer.Option(help="CSV for `train abuse --reviews`.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Data directory. By default SYLVIGIE_DATA_DIR.")] = None,
) -> None:
    """Write what people decided of the store's alerts as training data, without anybody's name or words."""
    from api.settings import data_folder
    from api.store.teaching import lessons_of, write_abuse, write_disagreement
    from models.dataset import write_table
    from models.doors import rows_of_reviews
    from scripts.store_commands import open_store
    from tiles.errors import DatasetError

    lessons = lessons_of(open_store(data_folder(data_dir)))
    told = ", ".join(f"{number} {reason}" for reason, number in lessons.left_out.items())
    if lessons.reviews.empty:
        raise DatasetError(f"No alert of the store was reviewed so that it teaches anything ({told or 'none there'}).")
    table = rows_of_reviews(lessons.reviews, lessons.features)
    content = write_table(table, out, {"made_by": "sylvigie train data export"})
    write_disagreement(lessons, out.with_suffix(".disagreement.parquet"))
    if abuse is not None:
        print(f"{abuse}: {write_abuse(lessons, abuse)} alerts.")
    _print_table(table, content, out)
    print(f"Left out: {told or 'nothing'}")
