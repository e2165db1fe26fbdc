"""Tracking: identities over tiles and months, spans, growth, merging, refutation. All ground is simulated."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from detector.alerts import Alert, AlertState, AlertStatus, ClosedReason, ReviewState, ScanContext, build_alerts
from detector.features import patch_features
from detector.known import Event, FoundPatch, Register, Tracked
from detector.outlines import measure, to_wgs84
from detector.params import PatchParams, TrackParams
from detector.patches import find_patches
from detector.tracking import track
from tests.detector.fakes import changed
from tests.detector.tracked import JANUARY, UNSEEN, FakeGround, area_of, box, day, ground_of, month_of, patch
from tiles.errors import InvalidParameterError
from tiles.grid import Grid
from tiles.month import Month

INTACT = FakeGround(intact=1)


def alerts(tracked: Tracked) -> dict[str, Alert]:
    return {alert.id[10:]: alert for alert in tracked.register.alerts}


def events(tracked: Tracked) -> dict[str, str]:
    return {name[10:]: event.value for name, event in tracked.events.items()}


def begun(*found: FoundPatch, month: Month = JANUARY) -> Register:
    return track(month, Register(), found, UNSEEN).register


def content(register: Register) -> tuple[Any, ...]:
    """All that a register says, to be compared."""
    patches = [(p.alert_id, p.alert, p.ground.wkb, p.latest_low, p.seen) for p in register.patches]
    return register.month, register.alerts, patches, register.history


# What is one alert


def test_a_patch_alone_is_told_as_its_tile_told_it() -> None:
    found = patch(box(10, 10))
    tracked = track(JANUARY, Register(), [found], UNSEEN)
    (alert,) = tracked.register.alerts
    assert events(tracked) == {"a": "new"}
    assert alert.area_ha == pytest.approx(found.alert.area_ha, rel=1e-9)
    assert dataclasses.replace(alert, area_ha=found.alert.area_ha, updated=None) == found.alert
    assert alert.updated == date(2023, 1, 31)


@pytest.mark.parametrize(("gap_px", "number"), [(0, 1), (9.9, 1), (10.1, 2)])
def test_patches_less_than_a_hundred_metres_apart_are_one(gap_px: float, number: int) -> None:
    # Over the meridian of the zone, where a metre of the grid is 0.9996 on the ground: 10 px are 100.04 m.
    pair = [patch(box(20, 20), 0, "a"), patch(box(30 + gap_px, 20), 5, "b")]
    assert len(begun(*pair).alerts) == number


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:2154", "EPSG:32622"])
def test_the_hundred_metres_are_those_of_the_ground_everywhere(crs: str) -> None:
    lon, lat = {"EPSG:32631": (3.0, 45.0), "EPSG:2154": (-4.0, 48.3), "EPSG:32622": (-52.5, 4.0)}[crs]
    x, y = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform(lon, lat)
    square = box(0, 0, 10, 10, Grid(CRS.from_user_input(crs), Affine(10, 0, x, 0, -10, y), (100, 100)))
    corners = shapely.get_coordinates(square)
    easternmost = corners[corners[:, 0].argmax()]
    for metres, number in ((99.9, 1), (100.1, 2)):
        west, south, _ = pyproj.Geod(ellps="WGS84").fwd(easternmost[0], easternmost[1], 90, metres)
        # An arrow whose head is so far to the east.
        arrow = shapely.Polygon([(west, south), (west + 0.002, south - 0.001), (west + 0.002, south + 0.001)])
        assert len(begun(patch(square, 0, "a"), patch(arrow, 0, "b")).alerts) == number


@pytest.mark.parametrize(("apart", "number"), [(365, 1), (366, 2)])
def test_first_low_dates_of_an_alert_span_a_year_at_most(apart: int, number: int) -> None:
    register = begun(patch(box(10, 10), 0, "a"), patch(box(22, 10), apart, "b"), month=month_of(400))
    assert len(register.alerts) == number


def test_three_patches_of_three_hundred_days_each_do_not_chain() -> None:
    a, b, c = patch(box(10, 10), 0, "a"), patch(box(25, 10), 300, "b"), patch(box(40, 10), 600, "c")
    tracked = track(month_of(620), Register(), [c, b, a], UNSEEN)
    assert {name: alert.area_ha for name, alert in alerts(tracked).items()} == pytest.approx(
        {"a": 2.0, "c": 1.0}, abs=2e-3
    )
    assert alerts(tracked)["a"].first_low == day(0)


def test_three_patches_do_not_chain_from_month_to_month() -> None:
    register = begun(patch(box(10, 10), 0, "a"))
    register = track(
        month_of(300), register, [patch(box(10, 10), 0, "a"), patch(box(25, 10), 300, "b")], UNSEEN
    ).register
    third = track(month_of(600), register, [patch(box(25, 10), 300, "b"), patch(box(40, 10), 600, "c")], UNSEEN)
    assert events(third) == {"a": "unchanged", "c": "new"}
    assert area_of([ground_of(third.register, "SYL-31TDL-a")]) == pytest.approx(2.0, abs=2e-3)


def test_a_felling_that_creeps_on_for_years_is_cut_by_the_span() -> None:
    """Each month the patch is that of the last twelve months, and its median date moves on."""
    register, settled_at = Register(), None
    for step in range(30):
        now = 30 * step
        first = max(0, now - 330)
        one = patch(box(10 + first / 10, 10, (now - first) / 10 + 3, 20), (first + now) // 2, f"p{step:02d}")
        tracked = track(month_of(0).shifted(step), register, [one], UNSEEN)
        register = tracked.register
        if events(tracked)["p00"] == "settled":
            settled_at = step
    # The first alert is open as long as the patch still reaches over its ground.
    assert settled_at == 29
    assert 2 <= len(register.published) <= 3
    for alert in register.published:
        mine = [known for known in register.patches if known.alert_id == alert.id]
        assert (max(known.latest_low for known in mine) - min(known.alert.first_low for known in mine)).days <= 365
    grounds = [known.ground for known in register.patches]
    assert sum(alert.area_ha for alert in register.published) == pytest.approx(area_of(grounds), rel=1e-3)
    assert area_of(grounds) == pytest.approx(90 * 20 / 100, rel=0.05)


# Identity


def test_an_alert_that_grows_keeps_its_name_and_its_outlines() -> None:
    register = begun(patch(box(10, 10), 0, "a"))
    old = register.alerts[0].geometry
    tracked = track(JANUARY.shifted(1), register, [patch(box(10, 10, 15), -3, "other")], UNSEEN)
    assert events(tracked) == {"a": "grown"}
    alert = alerts(tracked)["a"]
    assert alert.area_ha == pytest.approx(1.5, abs=2e-3)
    assert (alert.first_low, alert.first_detected, alert.updated) == (day(-3), date(2023, 1, 31), date(2023, 2, 28))
    assert [line.event for line in tracked.register.history] == [Event.NEW, Event.GROWN]
    assert [line.geometry for line in tracked.register.history] == [old, alert.geometry]


def test_the_beginning_of_a_loss_is_not_forgotten_as_it_goes_on() -> None:
    register = begun(patch(box(10, 10), 0, "a"))
    tracked = track(month_of(60), register, [patch(box(10, 10, 40), 50, "a2")], UNSEEN)
    alert = alerts(tracked)["a"]
    assert (alert.last_intact, alert.first_low) == (day(-20), day(0))
    assert alert.scenes_before == ("S-0020",)
    assert alert.scenes_after == ("S+0000", "S+0050")


def test_new_ground_near_a_known_alert_makes_it_grow() -> None:
    known = patch(box(10, 10), 0, "a")
    register = begun(known)
    tracked = track(JANUARY.shifted(1), register, [known, patch(box(25, 10), 20, "b")], UNSEEN)
    assert events(tracked) == {"a": "grown"}
    assert alerts(tracked)["a"].geometry.geom_type == "MultiPolygon"


def test_a_bridge_makes_two_alerts_one_and_the_older_lives() -> None:
    first, second = patch(box(10, 10), 30, "a"), patch(box(60, 10), 0, "b")
    register = begun(first, month=month_of(35))
    register = track(month_of(70), register, [first, second], UNSEEN).register
    tracked = track(month_of(100), register, [patch(box(10, 10, 60), 5, "c")], INTACT)
    # b began earlier, but a was told first.
    assert events(tracked) == {"a": "grown", "b": "closed"}
    closed = alerts(tracked)["b"]
    assert (closed.status, closed.closed_reason) == (AlertStatus.CLOSED, ClosedReason.MERGED_INTO)
    assert closed.merged_into == "SYL-31TDL-a"
    assert closed.closed_on == month_of(100).last_day
    assert alerts(tracked)["a"].first_low == day(0)
    assert {known.alert_id for known in tracked.register.patches} == {"SYL-31TDL-a"}
    again = track(month_of(130), tracked.register, [patch(box(10, 10, 60), 5, "c")], INTACT)
    assert events(again) == {"a": "unchanged"}


def test_alerts_too_far_in_time_stay_two_under_a_bridge_and_no_hectare_counts_twice() -> None:
    register = begun(patch(box(10, 10), 0, "a"), patch(box(60, 10), 400, "b"), month=month_of(410))
    tracked = track(month_of(440), register, [patch(box(10, 10, 60), 250, "c")], UNSEEN)
    assert events(tracked) == {"a": "grown", "b": "unchanged"}
    assert sum(alert.area_ha for alert in tracked.register.alerts) == pytest.approx(6, rel=2e-3)


def test_a_patch_that_falls_in_two_stays_one_alert() -> None:
    register = begun(patch(box(10, 10, 60), 0, "a"))
    halves = [patch(box(10, 10, 20), 0, "a"), patch(box(50, 10, 20), 3, "b")]
    tracked = track(JANUARY.shifted(1), register, halves, FakeGround(box(35, 12, 5, 5), intact=1))
    assert events(tracked) == {"a": "shrunk"}
    assert alerts(tracked)["a"].area_ha == pytest.approx(4, rel=2e-3)


def test_a_patch_stays_where_it_belongs_though_its_date_shifts_over_the_span() -> None:
    a, b = patch(box(10, 10), 0, "a"), patch(box(25, 10), 364, "b")
    register = begun(a, b, month=month_of(370))
    # Its rim has grown by 0.1 ha, too: too little to be an alert.
    tracked = track(month_of(400), register, [patch(box(25, 10, 11), 368, "b")], INTACT)
    assert events(tracked) == {"a": "unchanged"}
    assert alerts(tracked)["a"].area_ha == pytest.approx(2, rel=2e-3)
    tracked = track(month_of(400), register, [patch(box(25, 10, 15), 368, "b")], INTACT)
    assert events(tracked) == {"a": "unchanged", "b": "new"}
    assert alerts(tracked)["b"].area_ha == pytest.approx(0.5, rel=2e-3)


def test_what_is_new_of_a_patch_is_near_to_what_it_is_near_to_itself() -> None:
    old = [patch(box(22, 10), 0, "a"), patch(box(10, 10, 10, 30), 364, "b")]
    near_the_old = patch(box(0, 10, 5, 10), 500, "x")
    register = begun(*old, near_the_old, month=month_of(505))
    assert [alert.id[10:] for alert in register.alerts] == ["a", "x"]
    tracked = track(month_of(535), register, [near_the_old, patch(box(10, 10, 10, 70), 400, "c")], UNSEEN)
    assert events(tracked) == {"a": "unchanged", "c": "new", "x": "unchanged"}
    assert alerts(tracked)["c"].area_ha == pytest.approx(4, rel=2e-3)


def test_a_patch_over_two_alerts_that_stay_two_belongs_to_that_which_it_mostly_shows() -> None:
    register = begun(patch(box(10, 10), 0, "a"), patch(box(20, 10, 40), 400, "b"), month=month_of(410))
    tracked = track(month_of(440), register, [patch(box(15, 10, 50), 250, "c")], UNSEEN)
    assert events(tracked) == {"a": "unchanged", "b": "grown"}
    assert alerts(tracked)["b"].area_ha == pytest.approx(4.5, rel=2e-3)


def test_an_alert_grows_by_dates_while_its_span_lasts() -> None:
    """Each of two patches would fit the alert, but not both."""
    register = begun(patch(box(10, 10), 100, "a"), patch(box(21, 10), 300, "b"), month=month_of(310))
    found = [patch(box(10, 10, 10, 20), -60, "c"), patch(box(21, 10, 10, 20), 450, "d")]
    tracked = track(month_of(460), register, found, UNSEEN)
    assert events(tracked) == {"a": "grown", "d": "new"}
    assert [alerts(tracked)[name].area_ha for name in "ad"] == pytest.approx([3, 1], rel=2e-3)


def test_the_same_ground_lost_again_after_years_is_another_alert() -> None:
    register = begun(patch(box(10, 10), 0, "a"))
    tracked = track(month_of(2000), register, [patch(box(10, 10), 1990, "b")], UNSEEN)
    assert events(tracked) == {"a": "settled", "b": "new"}


def test_a_name_that_an_alert_of_old_bears_is_not_given_twice() -> None:
    register = begun(patch(box(10, 10), 0, "a0000000"))
    tracked = track(month_of(2000), register, [patch(box(10, 10), 1990, "a0000000")], UNSEEN)
    names = [alert.id for alert in tracked.register.alerts]
    assert len(set(names)) == 2
    assert all(name.startswith("SYL-31TDL-") and len(name) == 18 for name in names)


# Across tiles


def test_ground_that_two_tiles_see_counts_once() -> None:
    west = patch(box(10, 10, 20), 4, "a", "31TDL", ndvi_after=0.2, n_clear_after=3)
    east = patch(box(20, 10, 20), 0, "b", "31TEL", ndvi_after=0.4, n_clear_after=9)
    tracked = track(JANUARY, Register(), [west, east], UNSEEN)
    (alert,) = tracked.register.alerts
    assert alert.id == "SYL-31TEL-b"
    assert (alert.tile, alert.tiles) == ("31TEL", ("31TEL", "31TDL"))
    assert alert.area_ha == pytest.approx(3, rel=2e-3)
    assert alert.ndvi_after == pytest.approx(0.3, abs=1e-4)
    assert (alert.last_intact, alert.first_low) == (day(-20), day(0))
    assert alert.scenes_before == ("S-0020",)
    assert alert.scenes_after == ("S+0000", "S+0004")


def test_of_two_first_losses_on_one_day_the_wider_interval_is_told() -> None:
    pair = [patch(box(10, 10), 0, "a", intact=-5), patch(box(22, 10), 0, "b", intact=-30)]
    assert begun(*pair).alerts[0].last_intact == day(-30)
    assert begun(pair[0], patch(box(22, 10), 0, "b", last_intact=None)).alerts[0].last_intact is None


def test_the_outline_is_that_of_the_tiles_and_the_area_that_of_the_pixels() -> None:
    pair = [patch(box(10, 10), 0, "a"), patch(box(20, 10), 0, "b", "31TEL")]
    smoothed = [
        FoundPatch(dataclasses.replace(one.alert, geometry=box(left, 11, 10, 8)), one.exact)
        for one, left in zip(pair, (10, 20), strict=True)
    ]
    (alert,) = begun(*smoothed).alerts
    assert alert.area_ha == pytest.approx(2, rel=2e-3)
    assert shapely.hausdorff_distance(alert.geometry, box(10, 11, 20, 8)) < 2e-7
    assert alert.geometry.geom_type == "Polygon"


def test_counts_are_those_of_the_larger_patch() -> None:
    pair = [patch(box(10, 10), 0, "a", n_clear_after=7), patch(box(22, 10, 20), 9, "b", n_clear_after=3)]
    assert begun(*pair).alerts[0].n_clear_after == 3


@pytest.mark.parametrize(("width", "state"), [(9, AlertState.PROVISIONAL), (11, AlertState.CONFIRMED)])
def test_an_alert_is_confirmed_by_the_larger_part_of_its_ground(width: int, state: AlertState) -> None:
    pair = [patch(box(10, 10), 0, "a", state=AlertState.PROVISIONAL), patch(box(22, 10, width), 9, "b")]
    assert begun(*pair).alerts[0].state is state


def test_a_tile_that_was_not_scanned_is_remembered() -> None:
    west, east = patch(box(10, 10, 20), 0, "a", "31TDL"), patch(box(20, 10, 20), 0, "b", "31TEL")
    tracked = track(JANUARY.shifted(1), begun(west, east), [east], UNSEEN)
    assert events(tracked) == {"a": "unchanged"}
    assert alerts(tracked)["a"].tiles == ("31TDL", "31TEL")
    assert alerts(tracked)["a"].area_ha == pytest.approx(3, rel=2e-3)


def _zones() -> tuple[Grid, Grid, shapely.Geometry]:
    """Grids of UTM zones 30 and 31 that meet over longitude 0, and a cut of about 4 ha across it."""
    cut = shapely.box(-0.0014, 45.0, 0.0012, 45.0018)
    grids = []
    for code in (32630, 32631):
        to = pyproj.Transformer.from_crs("OGC:CRS84", code, always_xy=True)
        x, y = to.transform(-0.0014, 45.0018)
        corner = (10 * (x // 10) - 1000, 10 * (y // 10) + 1000)
        grids.append(Grid(CRS.from_epsg(code), Affine(10, 0, corner[0], 0, -10, corner[1]), (220, 220)))
    return grids[0], grids[1], cut


def _seen_by(grid: Grid, ground: shapely.Geometry, tile: str, month: Month) -> list[FoundPatch]:
    """The patches that the true chain finds where the centre of a pixel lies in the ground."""
    rows, cols = np.mgrid[0 : grid.shape[0], 0 : grid.shape[1]]
    x, y = grid.centre_of(rows, cols)
    centres = to_wgs84(shapely.points(np.ravel(x), np.ravel(y)), grid.crs)
    mask = shapely.contains(ground, centres).reshape(grid.shape)
    pixels = changed(mask, first_low=np.datetime64(day(0), "D"), last_intact=np.datetime64(day(-10), "D"))
    patches = find_patches(pixels, grid, PatchParams())
    told = build_alerts(patches, patch_features(patches, pixels, grid), pixels, grid, ScanContext(tile, month.last_day))
    exact = to_wgs84(np.array([one.exact for one in patches], object), grid.crs)
    return [FoundPatch(alert, outline) for alert, outline in zip(told, exact, strict=True)]


def test_a_cut_across_two_utm_zones_is_one_alert_of_its_true_area() -> None:
    west, east, cut = _zones()
    found = _seen_by(west, cut, "30TYQ", JANUARY) + _seen_by(east, cut, "31TBK", JANUARY)
    assert len(found) == 2
    truth = float(measure(np.array([cut], object))[0][0])
    tracked = track(JANUARY, Register(), found, UNSEEN)
    (alert,) = tracked.register.alerts
    # The union of two pixellings is a little larger than the ground: a quarter of a pixel around.
    assert truth < alert.area_ha < truth + area_of([found[0].exact, found[1].exact]) - truth + 1e-6
    assert alert.area_ha == pytest.approx(truth, rel=0.06)
    assert set(alert.tiles) == {"30TYQ", "31TBK"}
    # Each zone alone in the next months, then both again: one alert still, and nothing happened to it.
    for step, again in enumerate((found[:1], found[1:], found), start=1):
        tracked = track(JANUARY.shifted(step), tracked.register, again, UNSEEN)
        assert set(tracked.events.values()) == {Event.UNCHANGED}
        assert tracked.register.alerts[0].area_ha == alert.area_ha


def test_halves_of_a_cut_that_meet_at_the_edge_of_two_zones_are_one_alert() -> None:
    west, east, cut = _zones()
    left, right = shapely.box(-0.0014, 45.0, 0, 45.0018), shapely.box(0, 45.0, 0.0012, 45.0018)
    found = _seen_by(west, left, "30TYQ", JANUARY) + _seen_by(east, right, "31TBK", JANUARY)
    (alert,) = begun(*found).alerts
    assert alert.area_ha == pytest.approx(float(measure(np.array([cut], object))[0][0]), rel=0.03)
    register = begun(*found[:1])
    grown = track(JANUARY.shifted(1), register, found, UNSEEN)
    assert list(grown.events.values()) == [Event.GROWN]
    assert grown.register.alerts[0].id == register.alerts[0].id


# What is found no more


def test_ground_that_was_seen_intact_again_closes_an_alert_and_deletes_nothing() -> None:
    register = begun(patch(box(10, 10), 0, "a"))
    asked = []

    def why(alert: Alert, ground: shapely.Geometry) -> ClosedReason:
        asked.append((alert.id, ground))
        return ClosedReason.SNOW

    tracked = track(JANUARY.shifted(1), register, [], INTACT, why=why)
    closed = alerts(tracked)["a"]
    assert (closed.status, closed.closed_reason) == (AlertStatus.CLOSED, ClosedReason.SNOW)
    assert (closed.closed_on, closed.updated) == (date(2023, 2, 28), date(2023, 2, 28))
    assert closed.geometry == register.alerts[0].geometry
    assert asked == [("SYL-31TDL-a", register.patches[0].ground)]
    assert (tracked.register.published, tracked.register.closed) == ([], [closed])
    assert [(line.event, line.closed_reason) for line in tracked.register.history] == [
        (Event.NEW, None),
        (Event.CLOSED, ClosedReason.SNOW),
    ]
    later = track(JANUARY.shifted(2), tracked.register, [], INTACT, why=why)
    assert later.events == {}
    assert later.register.alerts == tracked.register.alerts
    assert len(asked) == 1


def test_nobody_asked_why_is_seen_intact_again() -> None:
    tracked = track(JANUARY.shifted(1), begun(patch(box(10, 10))), [], INTACT)
    assert alerts(tracked)["a"].closed_reason is ClosedReason.SEEN_INTACT_AGAIN


@pytest.mark.parametrize(
    ("shares", "closed"),
    [
        ({"intact": 0.51, "unobserved": 0.49}, True),
        ({"intact": 0.50, "unobserved": 0.50}, False),
        ({"intact": 0.26, "unobserved": 0.25, "not_forest": 0.49}, True),
        ({"intact": 0.45, "provisional": 0.55}, False),
        ({"intact": 0.40, "confirmed": 0.60}, False),
        ({"not_forest": 1}, False),
        ({}, False),
    ],
)
def test_what_refutes(shares: dict[str, float], closed: bool) -> None:
    tracked = track(JANUARY.shifted(1), begun(patch(box(10, 10))), [], FakeGround(**shares))
    assert events(tracked) == {"a": "closed" if closed else "unchanged"}


def test_ground_that_clouds_hide_stays_open_as_it_was() -> None:
    register = begun(patch(box(10, 10)))
    tracked = track(JANUARY.shifted(1), register, [], UNSEEN)
    assert events(tracked) == {"a": "unchanged"}
    assert tracked.register.alerts == register.alerts
    assert tracked.register.history == register.history


def test_a_part_that_was_haze_is_taken_back_and_the_rest_stays() -> None:
    register = begun(patch(box(10, 10, 40), 0, "a"))
    tracked = track(JANUARY.shifted(1), register, [patch(box(10, 10, 10), 0, "a")], INTACT)
    assert events(tracked) == {"a": "shrunk"}
    assert alerts(tracked)["a"].area_ha == pytest.approx(1, abs=2e-3)
    assert tracked.register.history[0].geometry == register.alerts[0].geometry


def test_a_part_that_grows_old_before_the_rest_stays() -> None:
    """A cut of several weeks leaves the twelve months bit by bit."""
    register = begun(patch(box(10, 10, 40), 0, "a"))
    tracked = track(Month(2024, 1), register, [patch(box(30, 10, 20), 12, "b")], FakeGround(unobserved=1))
    assert events(tracked) == {"a": "unchanged"}
    assert alerts(tracked)["a"].area_ha == pytest.approx(4, rel=2e-3)


def test_an_old_loss_is_settled_once_whatever_is_seen_there() -> None:
    register = begun(patch(box(10, 10)))
    still = track(Month(2023, 12), register, [], UNSEEN)
    assert alerts(still)["a"].status is AlertStatus.OPEN
    settled = track(Month(2024, 1), still.register, [], INTACT)
    assert events(settled) == {"a": "settled"}
    assert settled.register.published == [alerts(settled)["a"]]
    later = track(Month(2024, 2), settled.register, [], INTACT)
    assert events(later) == {"a": "unchanged"}
    assert alerts(later)["a"].status is AlertStatus.SETTLED


def test_a_settled_alert_that_grows_is_open_again() -> None:
    register = track(Month(2024, 1), begun(patch(box(10, 10))), [], INTACT).register
    tracked = track(Month(2024, 2), register, [patch(box(25, 10), 350, "b")], INTACT)
    assert events(tracked) == {"a": "grown"}
    assert alerts(tracked)["a"].status is AlertStatus.OPEN


def test_one_date_that_none_confirmed_in_a_year_is_closed() -> None:
    register = begun(patch(box(10, 10), state=AlertState.PROVISIONAL))
    tracked = track(Month(2024, 1), register, [], UNSEEN)
    assert events(tracked) == {"a": "closed"}
    assert alerts(tracked)["a"].closed_reason is ClosedReason.NEVER_CONFIRMED


def test_ground_lost_again_within_the_span_opens_its_alert_again() -> None:
    register = track(JANUARY.shifted(1), begun(patch(box(10, 10), 0, "a")), [], INTACT).register
    tracked = track(month_of(200), register, [patch(box(11, 10), 190, "b")], UNSEEN)
    assert events(tracked) == {"a": "reopened"}
    alert = alerts(tracked)["a"]
    assert (alert.status, alert.closed_on, alert.closed_reason) == (AlertStatus.OPEN, None, None)
    # The dates are those of what is seen now: the earlier were refuted.
    assert (alert.first_low, alert.first_detected) == (day(190), date(2023, 1, 31))
    assert alert.area_ha == pytest.approx(1, abs=2e-3)
    assert [line.event for line in tracked.register.history] == [Event.NEW, Event.CLOSED, Event.REOPENED]


def test_ground_lost_again_beyond_the_span_is_new() -> None:
    register = track(JANUARY.shifted(1), begun(patch(box(10, 10), 0, "a")), [], INTACT).register
    tracked = track(month_of(380), register, [patch(box(10, 10), 370, "b")], UNSEEN)
    assert events(tracked) == {"b": "new"}


def test_a_neighbour_does_not_open_a_closed_alert() -> None:
    register = track(JANUARY.shifted(1), begun(patch(box(10, 10), 0, "a")), [], INTACT).register
    tracked = track(month_of(100), register, [patch(box(19.5, 10), 90, "b")], UNSEEN)
    assert events(tracked) == {"b": "new"}
    assert alerts(tracked)["a"].status is AlertStatus.CLOSED


def test_a_closed_alert_under_one_that_stands_becomes_part_of_it() -> None:
    stands = patch(box(30, 10), 5, "b")
    register = begun(patch(box(10, 10), 0, "a"), stands)
    register = track(JANUARY.shifted(1), register, [stands], INTACT).register
    tracked = track(JANUARY.shifted(2), register, [patch(box(10, 10, 30), 5, "b")], INTACT)
    assert events(tracked) == {"b": "grown"}
    assert (alerts(tracked)["a"].closed_reason, alerts(tracked)["a"].merged_into) == (
        ClosedReason.MERGED_INTO,
        "SYL-31TDL-b",
    )


def test_what_people_and_later_parts_added_stays() -> None:
    register = begun(patch(box(10, 10)))
    added = dataclasses.replace(register.alerts[0], abuse_score=0.9, commune="Évaux-les-Bains")
    register = dataclasses.replace(register, alerts=(added,))
    grown = track(JANUARY.shifted(1), register, [patch(box(10, 10, 20), 0, "a")], UNSEEN).register
    assert (grown.alerts[0].abuse_score, grown.alerts[0].commune) == (0.9, "Évaux-les-Bains")
    assert grown.alerts[0].review is ReviewState.TO_REVIEW


def test_a_state_that_changes_is_a_revision_without_an_outline() -> None:
    register = begun(patch(box(10, 10), state=AlertState.PROVISIONAL))
    tracked = track(JANUARY.shifted(1), register, [patch(box(10, 10))], UNSEEN)
    assert events(tracked) == {"a": "revised"}
    line = tracked.register.history[-1]
    assert (line.state, line.geometry) == (AlertState.CONFIRMED, None)


# Refusals


def test_a_month_that_the_register_holds_is_refused() -> None:
    register = begun(patch(box(10, 10)))
    with pytest.raises(InvalidParameterError, match="holds 2023-01 already"):
        track(JANUARY, register, [], UNSEEN)


def test_a_patch_given_twice_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="SYL-31TDL-a was given twice"):
        track(JANUARY, Register(), [patch(box(10, 10)), patch(box(60, 10))], UNSEEN)


@pytest.mark.parametrize(
    "wrong", [{"near_m": -1}, {"span_days": -1}, {"window_months": 0}, {"min_area_ha": -1}, {"intact_share": 0}]
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        TrackParams(**wrong)


# What holds of any patches

_patches = st.lists(
    st.tuples(
        st.integers(0, 60), st.integers(0, 30), st.integers(4, 20), st.integers(4, 12), st.integers(0, 700),
        st.sampled_from(["31TDL", "31TEL"]),
    ),
    max_size=9,
)  # fmt: skip


def _found(drawn: Sequence[tuple[int, int, int, int, int, str]], prefix: str = "p") -> list[FoundPatch]:
    return [
        patch(box(left, top, width, height), low, f"{prefix}{i}", tile)
        for i, (left, top, width, height, low, tile) in enumerate(drawn)
    ]


def _told(register: Register) -> list[list[Any]]:
    return [[p.alert.first_low, p.latest_low] for p in register.patches]


@settings(max_examples=60, deadline=None)
@given(_patches, _patches, st.randoms(use_true_random=False), st.sampled_from(["intact", "unobserved"]))
def test_the_order_of_patches_does_not_matter(first: Any, second: Any, random: Any, state: str) -> None:
    ground = FakeGround(**{state: 1})
    contents = []
    for _ in range(2):
        found, later = _found(first), _found(second, "q")
        random.shuffle(found)
        random.shuffle(later)
        register = track(month_of(710), Register(), found, UNSEEN).register
        contents.append(content(track(month_of(740), register, later, ground).register))
    assert contents[0] == contents[1]


@settings(max_examples=60, deadline=None)
@given(_patches)
def test_spans_are_bounded_and_ground_is_covered_once(drawn: Any) -> None:
    found = _found(drawn)
    register = track(month_of(710), Register(), found, UNSEEN).register
    for alert in register.alerts:
        mine = [known for known in register.patches if known.alert_id == alert.id]
        dates = [known.latest_low for known in mine]
        assert (max(dates) - min(dates)).days <= 365
        assert alert.first_low == min(dates)
        assert alert.area_ha == pytest.approx(area_of([known.ground for known in mine]), abs=1e-6)
    # No ground is in two alerts, but where it was lost twice with more than a year between.
    for one, other in itertools.combinations(register.patches, 2):
        if one.alert_id != other.alert_id and abs((one.latest_low - other.latest_low).days) <= 365:
            assert shapely.intersection(one.ground, other.ground).area < 1e-9
    # What was lost within a year is all told.
    dates = [one.alert.first_low for one in found]
    if found and (max(dates) - min(dates)).days <= 365:
        total = sum(alert.area_ha for alert in register.alerts)
        assert total == pytest.approx(area_of([one.exact for one in found]), rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(_patches)
def test_the_same_found_again_changes_nothing(drawn: Any) -> None:
    found = _found(drawn)
    register = track(month_of(710), Register(), found, UNSEEN).register
    again = track(month_of(740), register, found, INTACT)
    assert set(again.events.values()) <= {Event.UNCHANGED}
    assert again.register.history == register.history
    told = [(a.id, a.area_ha, a.geometry, a.first_low) for a in register.alerts]
    assert [(a.id, a.area_ha, a.geometry, a.first_low) for a in again.register.alerts] == told


@settings(max_examples=60, deadline=None)
@given(st.lists(_patches, max_size=4), st.sampled_from(["intact", "unobserved"]))
def test_no_alert_is_ever_lost_and_history_tells_its_state(months: Any, state: str) -> None:
    register = Register()
    for step, drawn in enumerate(months):
        before = {alert.id for alert in register.alerts}
        lines = register.history
        tracked = track(month_of(710).shifted(step), register, _found(drawn, f"m{step}p"), FakeGround(**{state: 1}))
        register = tracked.register
        assert before <= {alert.id for alert in register.alerts}
        assert register.history[: len(lines)] == lines
        last = {line.alert_id: line for line in register.history}
        outline = {line.alert_id: line.geometry for line in register.history if line.geometry is not None}
        for alert in register.alerts:
            assert (last[alert.id].status, last[alert.id].closed_reason) == (alert.status, alert.closed_reason)
            assert outline[alert.id] == alert.geometry
            assert (alert.status is AlertStatus.CLOSED) == (alert.closed_reason is not None)
        standing = {alert.id for alert in register.published}
        resting = {known.alert_id for known in register.patches}
        assert standing <= resting
        merged = {a.id for a in register.closed if a.closed_reason is ClosedReason.MERGED_INTO}
        assert not merged & resting
