"""What the commands put into the ports: the work of a tile, the building of its reference, the tracking of alerts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from detector import track_month
from detector.appraisal import LayersAndRules
from detector.criteria.alert_files import keep_said
from detector.criteria.kept import EVALUATIONS_FOLDER, EvaluationStore
from detector.criteria.loading import load_rules
from detector.criteria.rules import Rules
from detector.layers.store import LAYERS_FOLDER, LayerStore
from detector.month_pictures import PicturesMade, picture_month
from detector.params import ChipParams
from detector.pipeline import ScanParams
from detector.ports import TrackOutcome
from detector.tile_month import build_reference, work_tile
from models.card import ModelName
from models.registry import Registry
from models.scoring import AbuseScorer, ClearcutScorer
from tiles.catalog import Credentials, open_catalogue
from tiles.engine import available_threads
from tiles.merging import archive_reader
from tiles.month import Month
from tiles.reader import Reader, gdal_env

__all__ = ["PictureAlerts", "TrackAlerts", "build_reference", "layers_and_rules", "patch_scorer", "work_tile"]


def layers_and_rules(data_dir: Path, own_rules: Path | None) -> LayersAndRules:
    """What alerts are laid on, judged and ranked by: layers of a data directory, rules and the abuse model in use.

    Raises
    ------
    tiles.errors.RulesError
        When a rule will not do.
    tiles.errors.ModelError
        When the model will not do.
    """
    abuse = Registry(data_dir).load(ModelName.ABUSE)
    scorer = None if abuse is None else AbuseScorer(abuse)
    return LayersAndRules(LayerStore(data_dir / LAYERS_FOLDER), load_rules(own_rules), scorer=scorer)


def patch_scorer(data_dir: Path) -> ClearcutScorer | None:
    """The clear-cut model in use; None where there is none.

    Raises
    ------
    tiles.errors.ModelError
        When it will not do.
    """
    model = Registry(data_dir).load(ModelName.CLEARCUT)
    return None if model is None else ClearcutScorer(model)


@dataclass(frozen=True)
class TrackAlerts:
    """Tracks the alerts of a month; see `detector.ports.TrackWork`.

    Parameters
    ----------
    catalogue, credentials
        The archive, for the scenes that a refuted alert rested on.
    params
        What the tiles are worked out with.
    max_requests_per_host
        Requests that are under way to one host at most.
    appraiser
        Says where alerts lie and which criteria they meet.
    """

    catalogue: str
    credentials: Credentials | None
    params: ScanParams
    max_requests_per_host: int = 8
    appraiser: LayersAndRules | None = None

    def __call__(self, month: Month, tiles: Sequence[str], data_dir: Path) -> TrackOutcome:  # noqa: ARG002 - all are taken
        """Bring the alerts up to a month; of tiles that were not run, what is kept of the month counts as well."""
        keep = None if self.appraiser is None else partial(self._keep, self.appraiser.rules, data_dir)
        return track_month.track_month(month, data_dir, self.params, self._open_reader, self.appraiser, keep)

    @staticmethod
    def _keep(rules: Rules, data_dir: Path, alerts: Path) -> None:
        """Keep what the rules say of alerts that were published."""
        keep_said([alerts], rules, EvaluationStore(data_dir / EVALUATIONS_FOLDER), dt.datetime.now(dt.UTC).date())

    def _open_reader(self) -> tuple[Reader, dict[str, Any]]:
        return _opened(self.catalogue, self.credentials, self.max_requests_per_host)


@dataclass(frozen=True)
class PictureAlerts:
    """Pictures the alerts of a month; see `scripts.monthly.PictureWork`.

    Parameters
    ----------
    catalogue, credentials
        The archive.
    max_requests_per_host
        Requests that are under way to one host at most.
    threads
        That read at once; as many as processors where None.
    """

    catalogue: str
    credentials: Credentials | None
    max_requests_per_host: int = 8
    threads: int | None = None

    def __call__(self, month: Month, data_dir: Path, check: Callable[[], None]) -> PicturesMade:
        """Picture those that are new or have changed."""

        def opened() -> tuple[Reader, dict[str, Any]]:
            return _opened(self.catalogue, self.credentials, self.max_requests_per_host)

        return picture_month(month, data_dir, opened, ChipParams(), self.threads or available_threads(), check)


def _opened(
    catalogue: str, credentials: Credentials | None, max_requests_per_host: int
) -> tuple[Reader, dict[str, Any]]:
    access = open_catalogue(catalogue, credentials).access
    return archive_reader(access, max_requests_per_host), gdal_env(access)
