"""Two doors for real training data: a researcher's own table, and reviews of alerts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from models.causes import Cause
from models.dataset import TrainingTable
from models.places import block_names
from models.schema import COLUMNS, FEATURE_NAMES, REVIEW_COLUMNS, Source
from tiles.errors import DatasetError

_CSV, _PARQUET = {".csv"}, {".parquet", ".geoparquet"}


@dataclass(frozen=True)
class OwnTable:
    """A researcher's table, and its columns that mean nothing here.

    Parameters
    ----------
    table
        Its rows, whose source is `Source.OWN`.
    ignored
        Columns that were left aside.
    """

    table: TrainingTable
    ignored: tuple[str, ...]


def read_own(path: Path) -> OwnTable:
    """Read a researcher's own table: CSV, or (Geo)Parquet.

    It must have all features (empty where unknown), ``place``, and ``cause`` or ``is_clearcut``; what is no clear-cut
    and has no cause is `Cause.OTHER`. Other columns of `models.schema.COLUMNS` are taken where they are there.

    Raises
    ------
    tiles.errors.DatasetError
        When it does not fit: one sentence says where, and what is to be done.
    """
    frame = _read(path)
    known = {*(column.name for column in COLUMNS), *FEATURE_NAMES, "geometry"}
    ignored = tuple(sorted(str(name) for name in frame.columns if name not in known))
    if frame.empty:
        raise DatasetError(f"{path} has no row: give one for each patch.")
    if "place" not in frame:
        raise DatasetError(
            f"{path} lacks the column place: name the block of ground of each row, so that none is on both sides of a "
            "split."
        )
    if "cause" not in frame and "is_clearcut" not in frame:
        raise DatasetError(f"{path} lacks the column cause: name it, or say is_clearcut, true or false, in each row.")
    rows = frame[[name for name in frame.columns if name in known and name not in FEATURE_NAMES]].copy()
    if "cause" not in rows:
        yes = rows["is_clearcut"].astype(str).str.lower().isin(["true", "1", "1.0"])
        rows["cause"] = yes.map({True: Cause.CLEAR_CUT.value, False: Cause.OTHER.value})
    if "id" not in rows:
        rows["id"] = [f"own-{path.stem}-{number:06d}" for number in range(len(rows))]
    rows["source"] = Source.OWN.value
    records = [{str(name): value for name, value in record.items()} for record in rows.to_dict("records")]
    features = frame[[name for name in FEATURE_NAMES if name in frame]]
    return OwnTable(TrainingTable.build(records, features, where=str(path)), ignored)


def _read(path: Path) -> pd.DataFrame:
    kind = path.suffix.lower()
    if kind not in _CSV | _PARQUET:
        raise DatasetError(f"{path} is neither CSV nor GeoParquet: give a file that ends in .csv or .parquet.")
    try:
        if kind in _CSV:
            return pd.read_csv(path)
        table = pq.read_table(path)
        frame: pd.DataFrame = table.to_pandas(date_as_object=False)
        if "geometry" in frame:
            frame["geometry"] = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
        return frame
    except (OSError, ValueError, TypeError, pa.ArrowException, shapely.GEOSException) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise DatasetError(f"{path} cannot be read ({line}): give CSV or GeoParquet.") from error


def rows_of_reviews(reviews: pd.DataFrame, features: pd.DataFrame) -> TrainingTable:
    """Make training rows of reviews and of the reviewed alerts' features.

    Parameters
    ----------
    reviews
        `models.schema.REVIEW_COLUMNS`, one row for each alert that counts.
    features
        Features, their index the alerts' identifiers.

    Raises
    ------
    tiles.errors.DatasetError
        When a column or an alert's features are not there, or a value does not fit.
    """
    where = "The table of reviews"
    for column in REVIEW_COLUMNS:
        if column.name not in reviews and column.required:
            raise DatasetError(f"{where} lacks the column {column.name} ({column.meaning.lower()}).")
    unknown = [one for one in reviews["alert_id"] if one not in features.index]
    if unknown:
        raise DatasetError(f"{where} speaks of alert {unknown[0]}, whose features are not known.")
    places = block_names(reviews["longitude"].to_numpy(float), reviews["latitude"].to_numpy(float))
    rows = [
        {
            "id": f"review-{review['alert_id']}",
            "cause": review["cause"],
            "place": place,
            "source": Source.REVIEW.value,
            "weight": review["weight"],
            "tile": review["tile"],
            "last_intact": review.get("last_intact"),
            "first_low": review["first_low"],
        }
        for review, place in zip(reviews.to_dict("records"), places, strict=True)
    ]
    return TrainingTable.build(rows, features.loc[list(reviews["alert_id"])], where=where)
