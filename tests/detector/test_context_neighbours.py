"""What was cut, burnt or blown down around a patch, and where the water is."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detector.laid import ON, box, cuts, described, hectares, one
from tests.fakes.layers import FakeLayers, layers_of, vector

PATCH = box(0, 0, 300, 200)
NOTHING = FakeLayers()


def around(*outlines_and_days: tuple[Any, str], since: date | None = None) -> tuple[float | None, ...]:
    """Distance to the nearest cut, hectares of one year, of five."""
    context = one(PATCH, NOTHING, cuts(*outlines_and_days, since=since))
    return context.nearest_cut_m, context.cut_100m_1y_ha, context.cut_100m_5y_ha


def test_no_cut_around_is_not_the_same_as_none_known() -> None:
    assert around() == (None, 0.0, 0.0)
    context = one(PATCH, NOTHING)
    assert (context.nearest_cut_m, context.cut_100m_1y_ha, context.cut_100m_5y_ha) == (None, None, None)


def test_all_hectares_of_a_cut_that_is_near_are_summed() -> None:
    neighbour = box(350, 0, 650, 200)
    distance_m, year_ha, five_ha = around((neighbour, "2023-09-01"))
    assert distance_m == pytest.approx(50, rel=2e-3)
    assert year_ha == five_ha == pytest.approx(hectares([neighbour])[0], rel=1e-4)


def test_cuts_by_their_age() -> None:
    shapes = [box(310 + 20 * i, 0, 320 + 20 * i, 100) for i in range(4)]
    sizes = hectares(shapes)
    # A year before 15 June 2024 is 16 June 2023; five are 16 June 2019.
    days = ["2023-06-16", "2023-06-15", "2019-06-16", "2019-06-15"]
    _, year_ha, five_ha = around(*zip(shapes, days, strict=True))
    assert year_ha == pytest.approx(sizes[0], rel=1e-4)
    assert five_ha == pytest.approx(sizes[:3].sum(), rel=1e-4)


def test_cuts_that_overlap_are_dissolved() -> None:
    _, year_ha, _ = around((box(310, 0, 410, 100), "2024-01-01"), (box(360, 0, 460, 100), "2024-02-01"))
    assert year_ha == pytest.approx(hectares([box(310, 0, 460, 100)])[0], rel=1e-4)


def test_the_patch_known_from_before_is_not_counted() -> None:
    smaller_then = box(0, 0, 120, 200)
    far = box(900, 0, 1000, 200)
    distance_m, year_ha, _ = around((PATCH, ON), (smaller_then, "2024-05-01"), (far, "2024-05-01"))
    assert distance_m == pytest.approx(600, rel=2e-3)
    assert year_ha == 0.0


def test_a_neighbour_that_overlaps_by_a_sliver_is_one() -> None:
    # The grids of two UTM zones set edges half a pixel apart.
    distance_m, year_ha, _ = around((box(295, 0, 400, 200), "2024-01-01"))
    assert distance_m == 0
    assert year_ha == pytest.approx(hectares([box(300, 0, 400, 200)])[0], rel=1e-4)


def test_later_cuts_are_not_earlier() -> None:
    assert around((box(310, 0, 400, 200), "2024-06-16")) == (None, 0.0, 0.0)
    distance_m, year_ha, _ = around((box(310, 0, 400, 200), ON))
    assert distance_m == pytest.approx(10, rel=2e-3)
    assert year_ha


def test_cuts_farther_than_two_kilometres_are_not_told() -> None:
    assert around((box(2310, 0, 2400, 200), "2024-01-01"))[0] is None
    assert around((box(2290, 0, 2400, 200), "2024-01-01"))[0] == pytest.approx(1990, rel=2e-3)


def test_spans_that_began_before_any_cut_was_known_are_unknown() -> None:
    cut = (box(310, 0, 400, 200), "2024-01-01")
    _, year_ha, five_ha = around(cut, since=date(2022, 1, 1))
    assert year_ha == pytest.approx(hectares([cut[0]])[0], rel=1e-4)
    assert five_ha is None
    result = described([PATCH], NOTHING, cuts(cut, since=date(2022, 1, 1)))
    assert "five years before 1 of 1" in result.warnings[-1]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_the_nearest_of_many(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.integers(-250, 280, (12, 2)) * 10
    outlines = [shapely.affinity.rotate(box(x, y, x + 300, y + 40), rng.uniform(0, 90)) for x, y in corners]
    context = one(PATCH, NOTHING, cuts(*((outline, "2023-12-01") for outline in outlines)))
    others = [shape for shape in outlines if shape.intersection(PATCH).area < 0.1 * min(shape.area, PATCH.area)]
    apart = min((PATCH.distance(shape) for shape in others), default=np.inf)
    if apart < 1990:
        assert context.nearest_cut_m == pytest.approx(apart, rel=2e-3, abs=1e-3)
    near = [shape.difference(PATCH) for shape in others if PATCH.distance(shape) < 99.9]
    assert context.cut_100m_1y_ha == pytest.approx(shapely.union_all(near).area / 1e4, rel=2e-3, abs=0.5)


def test_water() -> None:
    river = shapely.LineString([box(x, 450, x, 450).bounds[:2] for x in range(-2000, 2000, 37)])
    ditch = shapely.LineString([box(700, y, 700, y).bounds[:2] for y in (-900, 900)])
    layers = layers_of(vector("watercourses", [ditch, river], code=["a", "b"], name=["D", "R"]))
    near, far, through = [box(0, 0, 300, 200), box(0, -900, 90, -800), box(650, 0, 750, 200)]
    contexts = described([near, far, through], layers).contexts
    assert [context.watercourse_m for context in contexts] == [pytest.approx(250, rel=2e-3), None, 0.0]
    assert all("watercourses" not in context.unknown_layers for context in contexts)


def test_fires_and_storms_about_the_time_of_the_cut() -> None:
    fires = vector(
        "burnt_areas",
        [box(0, 0, 100, 200), box(50, 0, 150, 200), box(0, 0, 300, 200), box(0, 0, 300, 200), box(200, 0, 300, 200)],
        code=["f1", "f2", "old", "later", "undated"],
        name=["Landiras", None, None, None, None],
        date=[date(2023, 7, 12), date(2024, 3, 1), date(2019, 7, 1), date(2024, 9, 1), None],
        end_date=[date(2023, 7, 25), None, None, None, None],
    )
    storms = vector(
        "storms", [box(900, 0, 990, 9)], code=["s"], name=["Ciarán"], date=[date(2023, 11, 2)], end_date=[None]
    )
    context = one(PATCH, layers_of(fires, storms))
    (area_ha,) = hectares([PATCH])
    assert [(fire.code, fire.name, fire.began, fire.ended) for fire in context.fires] == [
        ("f1", "Landiras", date(2023, 7, 12), date(2023, 7, 25)),
        ("f2", None, date(2024, 3, 1), None),
    ]
    assert context.burnt_ha == pytest.approx(area_ha / 2)
    assert (context.storm_ha, context.storms) == (0.0, ())
