"""How the model ranks the demo's openings of 2019, a year whose images no training saw.

The patches beside which alerts are held were derived by a threshold from the same images and looked at; nobody
surveyed them on the ground. The forest is that into whose images of earlier years the simulated events are laid.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio.errors

from detector.params import PatchParams
from detector.pipeline import ScanParams, scan
from models.classifier import TrainedModel
from models.metrics import average_precision
from scripts.demo import MIN_AREA_HA, MONTH
from scripts.demo_archive import build_archive
from tiles.catalog import open_catalogue
from tiles.errors import DatasetError
from tiles.watch import WatchedArea

_EPSG = 3035  # the demo's own: areas are true in it


@dataclass(frozen=True)
class OpeningsRank:
    """How alerts are ranked.

    Parameters
    ----------
    alerts, openings
        In all, and those that meet an opening of the year.
    average_precision
        Of the model's probabilities; NaN where no alert meets one.
    above_all
        Whether all that meet one rank above all that meet none.
    lowest_opening, highest_other
        Probabilities; NaN where there is none.
    """

    alerts: int
    openings: int
    average_precision: float
    above_all: bool
    lowest_opening: float
    highest_other: float


def rank_openings(model: TrainedModel, reference: Path, work: Path) -> OpeningsRank:
    """Scan the demo's July 2019, score its alerts, and see which meet an opening of that year.

    Parameters
    ----------
    model
        A clear-cut model.
    reference
        Polygons with ``year``.
    work
        Folder for the demo's archive.

    Raises
    ------
    DatasetError
        When `reference` cannot be read.
    MissingDependencyError
        Without nrt.
    """
    try:
        patches = gpd.read_file(reference).to_crs(_EPSG)
        of_year = patches[patches["year"] == MONTH.year]
    except (pyogrio.errors.DataSourceError, OSError, KeyError, ValueError) as error:
        raise DatasetError(f"{reference} cannot be read as openings ({error}): give polygons with a year.") from error
    archive = build_archive(work)
    with TemporaryDirectory() as folder:
        found = scan(
            open_catalogue(str(archive.catalog)),
            MONTH,
            WatchedArea.open(archive.forest_mask, None),
            Path(folder) / "scan",
            ScanParams(patches=PatchParams(min_area_ha=MIN_AREA_HA)),
            today=dt.date.today(),
        )
        features = pd.read_parquet(Path(folder) / "scan" / "features.parquet")
    shapes = {alert.id: alert.geometry for alert in found.alerts}
    outlines = gpd.GeoSeries([shapes[one] for one in features["alert_id"]], crs="EPSG:4326").to_crs(_EPSG)
    meets = outlines.intersects(of_year.geometry.union_all()).to_numpy(bool)
    return _ranked(model.scores(features), meets)


def _ranked(probability: np.ndarray, meets: np.ndarray) -> OpeningsRank:
    everything, place = np.ones(meets.size, bool), np.zeros(meets.size, np.int64)
    precision = average_precision(probability, meets, everything, place)(np.ones(1))
    lowest = float(probability[meets].min()) if meets.any() else np.nan
    highest = float(probability[~meets].max()) if not meets.all() else np.nan
    above = bool(meets.any() and (meets.all() or lowest > highest))
    return OpeningsRank(int(meets.size), int(meets.sum()), precision, above, lowest, highest)
