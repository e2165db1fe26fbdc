"""Where a patch lies: communes, forest, zones; what is not known; chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.context import ContextParams, ForestType, NearestZone, Place, describe
from detector.context.forest import forest_type_of
from detector.context.zonings import KINDS
from tests.detector.laid import X, Y, box, described, hectares, one
from tests.fakes.layers import FakeLayers, FakeVector, layers_of, vector, zones
from tiles.errors import GridError, InvalidParameterError

PATCH = box(0, 0, 300, 200)


def communes(*shapes: tuple[str, Any], covers: Any = None, departement: int = 2) -> FakeVector:
    """Communes whose département is the beginning of their code."""
    codes = [code for code, _ in shapes]
    more = {} if covers is None else {"covers": covers}
    return vector(
        "communes", [shape for _, shape in shapes], insee=codes, name=[f"Ville {code}" for code in codes],
        departement=[code[:departement] for code in codes], region=["75"] * len(codes), **more,
    )  # fmt: skip


def departements(*shapes: tuple[str, str | None, Any]) -> FakeVector:
    codes, regions = [code for code, _, _ in shapes], [region for _, region, _ in shapes]
    names = [f"Dép {code}" for code in codes]
    return vector("departements", [shape for *_, shape in shapes], insee=codes, name=names, region=regions)


def test_six_hectares_in_a_zsc_and_a_zps_are_in_natura_2000_once() -> None:
    around = box(-1000, -1000, 1000, 1000)
    context = one(PATCH, layers_of(zones("natura2000_zsc", around), zones("natura2000_zps", around)))
    (area_ha,) = hectares([PATCH])
    assert area_ha == pytest.approx(6, rel=0.003)  # the map's scale
    assert context.natura2000_ha == area_ha
    assert [(zone.layer, zone.code, zone.area_ha) for zone in context.zonings] == [
        ("natura2000_zps", "natura2000_zps-1", area_ha),
        ("natura2000_zsc", "natura2000_zsc-1", area_ha),
    ]


def test_zones_that_overlap_by_half_are_dissolved() -> None:
    layers = layers_of(
        zones("natura2000_zsc", box(-50, -50, 200, 250)), zones("natura2000_zps", box(100, -50, 250, 250))
    )
    context = one(PATCH, layers)
    (area_ha,) = hectares([PATCH])
    assert context.natura2000_ha == pytest.approx(area_ha * 250 / 300, rel=1e-9)
    assert [zone.area_ha / area_ha * 300 for zone in context.zonings] == pytest.approx([200, 150])


def test_a_zone_of_several_features_is_one() -> None:
    layer = vector(
        "znieff1", [box(0, 0, 100, 200), box(50, 0, 200, 200), box(250, 0, 300, 200)],
        code=["A", "A", None], name=["Vallon", "Vallon", None],
    )  # fmt: skip
    context = one(PATCH, layers_of(layer))
    (area_ha,) = hectares([PATCH])
    assert [(zone.code, zone.name) for zone in context.zonings] == [("A", "Vallon"), (None, None)]
    assert [zone.area_ha / area_ha * 300 for zone in context.zonings] == pytest.approx([200, 50])
    assert context.zoning_ha["znieff1"] == pytest.approx(area_ha * 250 / 300)


def test_the_nearest_zone_of_each_kind() -> None:
    layers = layers_of(
        zones("znieff1", box(1300, 0, 1400, 200), box(-500, 0, -400, 200)),
        zones("appb", box(2301, 0, 2400, 200)),
        zones("nature_reserves", box(0, 200, 300, 400)),
    )
    context = one(PATCH, layers)
    assert context.zoning_ha["znieff1"] == context.zoning_ha["appb"] == context.zoning_ha["nature_reserves"] == 0.0
    znieff = context.nearest_zones["znieff1"]
    # A metre of the ground is 1.0003 m of the map here.
    assert znieff.code == "znieff1-2"
    assert znieff.distance_m == pytest.approx(400, rel=2e-3)
    assert abs(znieff.distance_m - 400) > 0.1
    assert context.nearest_zones["nature_reserves"].distance_m == 0
    assert set(context.nearest_zones) == {"znieff1", "nature_reserves"}
    assert context.nearest_zone == context.nearest_zones["nature_reserves"]


def test_the_nearest_zone_is_that_which_the_patch_lies_in() -> None:
    layers = layers_of(
        zones("znieff2", box(-10, -10, 100, 500), box(100, -10, 400, 500)), zones("appb", box(310, 0, 400, 9))
    )
    context = one(PATCH, layers)
    assert context.nearest_zone == NearestZone("znieff2", "znieff2-2", "zone znieff2-2", 0.0)
    assert context.nearest_zones["appb"].distance_m == pytest.approx(10, rel=2e-3)


def test_what_no_layer_tells_is_unknown_and_said_once() -> None:
    patches = [PATCH, shapely.affinity.translate(PATCH, 5000, 0)]
    result = described(patches, FakeLayers())
    for context in result.contexts:
        assert context.natura2000_ha is None
        assert dict.fromkeys(KINDS) == context.zoning_ha
        told = [
            "commune",
            "departement",
            "region",
            "forest_type",
            "forest_shares",
            "slope_block_ha",
            "tree_cover_pct",
            "elevation_m",
            "nearest_cut_m",
            "cut_100m_1y_ha",
            "watercourse_m",
            "burnt_ha",
            "storm_ha",
            "nearest_zone",
        ]
        assert {name: getattr(context, name) for name in told} == dict.fromkeys(told)
    named = [warning.split()[1] for warning in result.warnings[:-1]]
    assert len(named) == len(set(named)) == 17
    assert set(result.contexts[0].unknown_layers) == set(named) | {"tree_cover", "elevation"}
    assert "earlier cuts" in result.warnings[-1]


def test_outside_of_what_a_layer_covers_nothing_is_known() -> None:
    far = shapely.affinity.translate(PATCH, 100_000, 0)
    half = shapely.affinity.translate(PATCH, 850, 0)
    edge = shapely.affinity.translate(PATCH, 710, 0)
    layer = zones("znieff1", box(200, 0, 5000, 200), covers=(X - 1000, Y - 1000, X + 1000, Y + 1000))
    result = described([PATCH, far, half, edge], layers_of(layer))
    inside, outside, partly, nearly = [context.zoning_ha["znieff1"] for context in result.contexts]
    assert inside == pytest.approx(2, rel=0.003)
    assert outside is None
    assert partly is None
    assert nearly == pytest.approx(6, rel=0.003)
    assert [len(context.zonings) for context in result.contexts] == [1, 0, 0, 1]
    assert [warning for warning in result.warnings if "znieff1 " in warning] == [
        "Layer znieff1 does not cover 2 of 4 patches; unknown there: hectares in ZNIEFF of type 1."
    ]


def test_natura_2000_is_unknown_without_one_of_its_layers() -> None:
    context = one(PATCH, layers_of(zones("natura2000_zsc", box(0, 0, 300, 200))))
    assert context.natura2000_ha is None
    assert len(context.zonings) == 1
    assert "natura2000_zps" in context.unknown_layers


def test_a_patch_over_a_border_is_where_most_of_it_is() -> None:
    # The commune with the largest share lies in a département that has not the largest.
    parts = [
        ("40001", box(-900, -900, 120, 900)),
        ("33001", box(120, -900, 200, 900)),
        ("33002", box(200, -900, 900, 900)),
    ]
    layers = layers_of(
        communes(*parts), departements(("40", "75", parts[0][1]), ("33", "75", box(120, -900, 900, 900)))
    )
    context = one(PATCH, layers)
    assert (context.commune_insee, context.commune) == ("40001", "Ville 40001")
    assert (context.departement, context.departement_name) == ("33", "Dép 33")
    assert [place.insee for place in context.communes] == ["40001", "33002", "33001"]
    assert [place.share for place in context.communes] == pytest.approx([0.4, 1 / 3, 0.8 / 3])
    # Without the départements' layer, the communes tell the same.
    assert one(PATCH, layers_of(communes(*parts))).departement == "33"


def test_communes_of_one_departement_do_not_pull_its_border() -> None:
    layers = layers_of(
        communes(("33002", box(200, -900, 900, 900))),
        departements(("40", "75", box(-900, -900, 200, 900)), ("33", "75", box(200, -900, 900, 900))),
    )
    context = one(PATCH, layers)
    assert (context.commune_insee, context.departement) == ("33002", "40")


def test_equal_shares_go_to_the_smaller_code() -> None:
    layers = layers_of(communes(("40009", box(150, -9, 900, 900)), ("40002", box(-900, -9, 150, 900))))
    assert [place.insee for place in one(PATCH, layers).communes] == ["40002", "40009"]


def test_corsica() -> None:
    # Lambert-93's scale is 0.1 % off there, and the codes are no numbers.
    corsica = shapely.affinity.translate(PATCH, 500_000, -550_000)
    around = corsica.buffer(5000)
    layers = layers_of(
        communes(("2A004", around)), departements(("2A", "94", around)), zones("natura2000_zsc", around),
        zones("natura2000_zps", around), vector("regions", [around], insee=["94"], name=["Corse"]),
    )  # fmt: skip
    context = one(corsica, layers)
    assert (context.commune_insee, context.departement, context.region, context.region_name) == (
        "2A004",
        "2A",
        "94",
        "Corse",
    )
    assert context.natura2000_ha == hectares([corsica])[0]


def test_at_the_coast_and_abroad_only_what_is_known_is_told() -> None:
    abroad = shapely.affinity.translate(PATCH, 9000, 0)
    result = described([PATCH, abroad], layers_of(communes(("17001", box(-900, -900, 180, 900)))))
    coast, beyond = result.contexts
    (place,) = coast.communes
    assert place == Place("17001", "Ville 17001", place.share)
    assert place.share == pytest.approx(0.6)
    assert (beyond.commune, beyond.departement, beyond.region, beyond.communes) == (None, None, None, ())


def test_regions_by_their_outlines_where_departements_do_not_say() -> None:
    regions = vector(
        "regions", [box(-900, -900, 100, 900), box(100, -900, 900, 900)], insee=["75", "76"], name=["N", "O"]
    )
    layers = layers_of(departements(("31", None, box(-900, -900, 900, 900))), regions)
    context = one(PATCH, layers)
    assert (context.departement, context.region, context.region_name) == ("31", "76", "O")


def _forest(*cells: tuple[str | None, str | None, Any]) -> FakeVector:
    codes, essences, shapes = zip(*cells, strict=True)
    return vector("forest", shapes, code_tfv=codes, essence=essences)


def test_forest_by_the_largest_area() -> None:
    layer = _forest(
        ("FF2-51-51", "Pin maritime", box(0, 0, 60, 200)),
        ("FF2-51-51", "Pin maritime", box(60, 0, 120, 200)),
        ("FF2-64-64", "Douglas", box(120, 0, 150, 200)),
        ("FF1-00", "Feuillus", box(150, 0, 240, 200)),
        ("LA4", "NC", box(240, 0, 270, 200)),
    )
    context = one(PATCH, layers_of(layer))
    assert context.forest_shares == pytest.approx({"FF2-51-51": 0.4, "FF1-00": 0.3, "FF2-64-64": 0.1, "LA4": 0.1})
    assert list(context.forest_shares or ()) == ["FF2-51-51", "FF1-00", "FF2-64-64", "LA4"]
    assert (context.forest_type, context.essence) == (ForestType.CONIFER, "Pin maritime")


def test_forest_that_overlaps_is_counted_once() -> None:
    layer = _forest(
        ("FF31", "Mixte", box(0, 0, 150, 200)), ("FF31", "Mixte", box(90, 0, 180, 200)),
        ("FO1", "Feuillus", box(60, 0, 240, 200)),
    )  # fmt: skip
    shares = one(PATCH, layers_of(layer)).forest_shares
    assert shares is not None
    assert sum(shares.values()) == pytest.approx(240 / 300)
    assert shares["FF31"] == pytest.approx(shares["FO1"])


def test_ground_without_forest_has_no_type() -> None:
    context = one(PATCH, layers_of(_forest(("FF0", "NR", box(900, 0, 999, 200)))))
    assert (context.forest_shares, context.forest_type, context.essence) == ({}, None, None)
    assert "forest" not in context.unknown_layers


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("FF1G01-01", "broadleaf"), ("FF1-00-00", "broadleaf"), ("FF2G61-61", "conifer"), ("FF2-00", "conifer"),
        ("FF31", "mixed"), ("FF32", "mixed"), ("FF0", "no_cover"), ("FO0", "no_cover"), ("FO1", "open_broadleaf"),
        ("FO2", "open_conifer"), ("FO3", "open_mixed"), ("FP", "poplar"), ("LA4", "heath"), ("LA6", "grassland"),
        ("?", "other"),
    ],
)  # fmt: skip
def test_types_of_forest(code: str, kind: str) -> None:
    assert forest_type_of(code) == kind


def test_a_polygon_that_crosses_itself_is_mended() -> None:
    bow = shapely.Polygon([(X, Y), (X + 300, Y + 200), (X + 300, Y), (X, Y + 200)])
    assert not bow.is_valid
    context = one(PATCH, layers_of(zones("znieff1", bow)))
    assert context.zoning_ha["znieff1"] == pytest.approx(hectares([PATCH])[0] / 2)


BOXES = st.tuples(st.integers(-20, 40), st.integers(-20, 40), st.integers(1, 40), st.integers(1, 40)).map(
    lambda at: box(at[0] * 10, at[1] * 10, (at[0] + at[2]) * 10, (at[1] + at[3]) * 10)
)


@settings(deadline=None, max_examples=60)
@given(st.lists(BOXES, min_size=1, max_size=4), st.lists(BOXES, max_size=6), st.lists(BOXES, max_size=6))
def test_hectares_are_those_of_the_union(patches: list[Any], zsc: list[Any], zps: list[Any]) -> None:
    result = described(patches, layers_of(zones("natura2000_zsc", *zsc), zones("natura2000_zps", *zps)))
    union = shapely.union_all([*zsc, *zps])
    for patch, area_ha, context in zip(patches, hectares(patches), result.contexts, strict=True):
        share = patch.intersection(union).area / patch.area
        assert context.natura2000_ha == pytest.approx(area_ha * share, rel=1e-6, abs=1e-6)
        apart = patch.distance(union) if not union.is_empty else np.inf
        assert ("natura2000" in context.nearest_zones) == (share == 0 and apart < 1999)
        if "natura2000" in context.nearest_zones:
            assert context.nearest_zones["natura2000"].distance_m == pytest.approx(apart, rel=2e-3, abs=1e-3)


def test_chunks_and_threads_change_nothing_and_bound_what_is_read() -> None:
    rng = np.random.default_rng(0)
    patches = [box(x, y, x + 200, y + 100) for x, y in rng.integers(0, 30_000, (60, 2)) * 10]
    squares = [(i, j, box(30e3 * i, 30e3 * j, 30e3 * (i + 1), 30e3 * (j + 1))) for i in range(11) for j in range(11)]
    layers = layers_of(
        zones("znieff1", *[box(x, y, x + 900, y + 900) for x, y in rng.integers(0, 300_000, (3000, 2))]),
        communes(*[(f"{10 + i}0{j:02d}", square) for i, j, square in squares]),
    )
    whole = described(patches, layers, params=ContextParams(chunk_extent_m=1e6))
    layers.vectors["znieff1"].asked.clear()
    for params in (ContextParams(chunk_patches=7), ContextParams(chunk_extent_m=20_000)):
        assert described(patches, layers, params=params, threads=3) == whole
    assert all(context.commune for context in whole.contexts)
    widths = [bounds[2] - bounds[0] for bounds in layers.vectors["znieff1"].asked if bounds is not None]
    assert len(widths) > 20
    assert max(widths) < 100_000 + 2 * 2100
    assert np.median(widths) < 20_000 + 2 * 2100


def test_nothing_to_describe() -> None:
    result = described([], FakeLayers())
    assert result.contexts == ()


def test_a_patch_beyond_the_map_is_refused() -> None:
    pole = np.array([shapely.box(-177, -90, -176, -89.9)], object)
    with pytest.raises(GridError, match="Lambert-93"):
        describe(pole, np.ones(1), np.array(["2024-01-01"], "datetime64[D]"), FakeLayers())


@pytest.mark.parametrize(
    "wrong",
    [
        {"steep_pct": 0}, {"near_m": float("nan")}, {"known_share": 0}, {"overlap_share": 1.5}, {"cut_near_m": 3000},
        {"event_days_before": -1}, {"chunk_patches": 0},
    ],
)  # fmt: skip
def test_parameters_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        ContextParams(**wrong)
