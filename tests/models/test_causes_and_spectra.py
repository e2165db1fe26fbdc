"""Months are those of the labels; spectra are those of PROSAIL, and do what a disturbance does."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path

import numpy as np
import pytest

from models.causes import DISFOR_MONTHS, Cause, disfor_months, month_weights
from models.spectra import BAND_NAMES, PROSAIL_ENDMEMBERS, endmember, ground_after
from scripts import endmembers
from tiles.errors import DatasetError

RED, NIR = BAND_NAMES.index("red"), BAND_NAMES.index("nir")
SIMULATED = [cause for cause in Cause if cause not in (Cause.OTHER, Cause.NO_EVENT)]
DAYS = [dt.date(2018, 1, 1) + dt.timedelta(days=5 * step) for step in range(146)]


def test_months_are_those_of_disfor(shared_data: Path) -> None:
    assert disfor_months(shared_data / "labels" / "disfor_labels_flat.csv") == DISFOR_MONTHS


def test_labels_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DatasetError, match=r"labels\.csv cannot be read as DISFOR's labels"):
        disfor_months(tmp_path / "labels.csv")


@pytest.mark.parametrize("cause", SIMULATED)
def test_every_cause_has_months(cause: Cause) -> None:
    assert sum(month_weights(cause)) == pytest.approx(1)
    assert len(month_weights(cause)) == 12


def test_endmembers_are_prosails() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("prosail", reason="PROSAIL made the table, and is not needed to read it")
    assert {name: endmembers.endmember(name) for name in endmembers.RECIPES} == PROSAIL_ENDMEMBERS


@pytest.mark.parametrize("cause", SIMULATED)
def test_ground_is_reflectance_and_begins_with_the_event(cause: Cause) -> None:
    start = dt.date(2018, 6, 1)
    ground = ground_after(cause, start, DAYS, np.full(len(DAYS), 0.5), np.random.default_rng(1))
    assert ground.reflectance.shape == (len(DAYS), len(BAND_NAMES))
    assert (ground.reflectance > 0).all()
    assert (ground.reflectance < 1).all()
    before = np.array([day < start for day in DAYS])
    assert (ground.presence[before] == (1 if cause is Cause.FIELD_EDGE else 0)).all()
    assert ground.presence.max() <= 1
    assert ground.presence[~before].max() > 0


def test_a_cut_loses_its_green_and_herbs_give_some_back() -> None:
    start, after = dt.date(2018, 5, 1), []
    for seed in range(40):
        ground = ground_after(Cause.CLEAR_CUT, start, DAYS, np.full(len(DAYS), 0.3), np.random.default_rng(seed))
        red, nir = ground.reflectance[:, RED], ground.reflectance[:, NIR]
        after.append((nir - red) / (nir + red))
    median = np.median(after, axis=0)
    days = np.array(DAYS)
    of_july, next_june = (days == dt.date(2018, 7, 5)), (days == dt.date(2019, 6, 15))
    assert 0.2 < median[of_july][0] < 0.5
    assert median[next_june][0] > median[of_july][0] + 0.1


def test_char_is_dark_and_slash_turns_brown() -> None:
    def ndvi(name: str) -> float:
        red, nir = endmember(name)[[RED, NIR]]
        return float((nir - red) / (nir + red))

    assert endmember("char").max() < 0.15
    assert ndvi("soil_dry") < ndvi("slash_brown") < ndvi("slash_green") < ndvi("grass_green")
