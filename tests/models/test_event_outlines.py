"""Outlines of simulated events are whole, and those of fellings are shaped as real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from models.causes import Cause
from models.event_outlines import MEASURED, QUANTILES, FellingParams, Outline, draw_outline, felling
from models.events import EventParams, draw_shape
from scripts.outline_shapes import real_masks, shapes_of
from tiles.errors import InvalidParameterError


@pytest.mark.parametrize("outline", list(Outline))
def test_outlines_are_whole_and_the_same_for_a_seed(outline: Outline) -> None:
    for seed in range(40):
        ring = draw_outline(outline, 2.0, np.random.default_rng(seed))
        polygon = shapely.Polygon(ring)
        assert polygon.is_valid
        assert polygon.area > 0
        assert np.isfinite(ring).all()
        np.testing.assert_array_equal(ring, draw_outline(outline, 2.0, np.random.default_rng(seed)))


def test_a_felling_without_unevenness_is_a_parcel() -> None:
    even = FellingParams(most_added=0, most_left=0, strays=0)
    for seed in range(10):
        polygon = shapely.Polygon(felling(np.random.default_rng(seed), 2.0, even))
        assert polygon.area / polygon.minimum_rotated_rectangle.area > 0.75
        assert polygon.area / polygon.convex_hull.area > 0.97


def test_more_unevenness_makes_less_compact_outlines() -> None:
    def compactness(unevenness: tuple[float, float]) -> float:
        drawn = [felling(np.random.default_rng(i), 2.0, FellingParams(unevenness)) for i in range(30)]
        polygons = shapely.polygons([shapely.linearrings(ring) for ring in drawn])
        return float(np.median(4 * np.pi * shapely.area(polygons) / shapely.length(polygons) ** 2))

    assert compactness((1, 20)) > 1.5 * compactness((20, 1))


def test_simulated_fellings_are_shaped_as_real_ones() -> None:
    rng, params = np.random.default_rng(3), EventParams()
    # From 0.6 to 14.4 ha, as the real ones.
    areas = np.geomspace(0.6, 14.4, 60)
    drawn = shapes_of([draw_shape(Cause.CLEAR_CUT, params, rng, float(area)).inside for area in areas])
    for name, quantiles in MEASURED.items():
        real = dict(zip(QUANTILES, quantiles, strict=True))
        assert real[0.25] < drawn[name].median() < real[0.75], name
        assert real[0.1] - 0.1 < drawn[name].quantile(0.25), name
        assert drawn[name].quantile(0.75) < real[0.9] + 0.1, name


def test_what_was_measured_is_what_the_real_outlines_give(shared_data: Path) -> None:
    real = shapes_of(real_masks(shared_data / "labels/brigade_sample_clear_cuts_2024.geojson"))
    assert len(real) == 19
    for name, quantiles in MEASURED.items():
        assert real[name].quantile(list(QUANTILES)).tolist() == pytest.approx(quantiles, abs=0.006), name


def test_parameters_without_sense_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="numbers above 0"):
        FellingParams(unevenness=(0, 1))
