"""What an item says of its offset, and where its pixels are to be asked instead (design, fact 1)."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiles.catalog.stac_items import scene_of
from tiles.errors import SceneError
from tiles.scene import ESA_OFFSET, dn_offset_of, parse_baseline

#: Baseline, boa_offset_applied, declared offset: what is to be added, or None where the pixels are to be asked.
DECISIONS: dict[tuple[str | None, bool | None, float | None], int | None] = {
    # Applied: said of pixels whose 1000 is gone, whatever else is declared.
    **{(baseline, True, offset): 0 for baseline in ("02.14", "05.00", None) for offset in (0, -0.1, None)},
    # Before 04.00 there was none to apply.
    **{("02.14", applied, offset): 0 for applied in (False, None) for offset in (0, None)},
    **{("02.14", applied, -0.1): None for applied in (False, None)},
    # Since: false has been said wrongly; without a flag, delivered as ESA does.
    **{("05.00", False, offset): None for offset in (0, -0.1, None)},
    ("05.00", None, -0.1): ESA_OFFSET,
    ("05.00", None, None): ESA_OFFSET,
    ("05.00", None, 0): None,
    # Without a baseline the declaration alone speaks.
    (None, None, 0): 0,
    (None, None, -0.1): ESA_OFFSET,
    (None, None, None): None,
    (None, False, 0): 0,
    (None, False, -0.1): None,
    (None, False, None): None,
}


REFUSED = "refused"


def _decide(baseline: str | None, applied: bool | None, red_asset: dict[str, Any]) -> int | str | None:
    properties: dict[str, Any] = {}
    if baseline is not None:
        properties["s2:processing_baseline"] = baseline
    if applied is not None:
        properties["earthsearch:boa_offset_applied"] = applied
    try:
        return dn_offset_of("it", properties, red_asset)
    except SceneError:
        return REFUSED


def test_every_combination_is_decided_here() -> None:
    assert set(DECISIONS) == set(itertools.product(("02.14", "05.00", None), (True, False, None), (0, -0.1, None)))


@pytest.mark.parametrize(("said", "expected"), DECISIONS.items())
def test_offset_follows_from_what_the_item_says_or_the_pixels_are_to_be_asked(
    said: tuple[str | None, bool | None, float | None], expected: int | None
) -> None:
    baseline, applied, offset = said
    band = {"scale": 0.0001} | ({} if offset is None else {"offset": offset})
    assert _decide(baseline, applied, {"raster:bands": [band]}) == expected
    # The same, declared as Copernicus Data Space does.
    assert _decide(baseline, applied, {f"raster:{name}": value for name, value in band.items()}) == expected


@pytest.mark.parametrize(
    ("text", "offset"), [("03.01", 0), ("3.01", 0), ("04.00", ESA_OFFSET), ("4", ESA_OFFSET), ("N0511", ESA_OFFSET)]
)
def test_offset_begins_with_baseline_four(text: str, offset: int) -> None:
    assert _decide(text, None, {}) == offset


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("02.14", (2, 14)),
        ("05.00", (5, 0)),
        (" 05.11 ", (5, 11)),
        ("N0214", (2, 14)),
        ("0511", (5, 11)),
        ("214", None),
        ("new", None),
        ("", None),
        (None, None),
    ],
)
def test_baselines_are_read_as_numbers(text: str | None, read: tuple[int, int] | None) -> None:
    assert parse_baseline({"s2:processing_baseline": text}) == read
    assert parse_baseline({"processing:version": text}) == read


@given(st.sampled_from(["02.14", "05.00", None]), st.sampled_from([False, None]), st.floats(-1, 1))
def test_an_offset_is_zero_or_esas_and_nothing_between(
    baseline: str | None, applied: bool | None, offset: float
) -> None:
    decided = _decide(baseline, applied, {"raster:bands": [{"offset": offset}]})
    if round(offset * 10_000) not in (0, -1000):
        assert decided == REFUSED
    else:
        assert decided == DECISIONS[baseline, applied, -0.1 if offset < -0.05 else 0]


@pytest.mark.parametrize("scale", [1, 0.0002, 0.001])
def test_another_scale_is_set_aside_even_where_the_offset_is_said_to_be_applied(scale: float) -> None:
    assert _decide("05.00", True, {"raster:bands": [{"scale": scale, "offset": 0}]}) == REFUSED
    assert _decide("02.14", None, {"raster:scale": scale}) == REFUSED


def test_who_sets_a_scene_aside_says_which_and_why() -> None:
    with pytest.raises(SceneError, match=r"^Scene S2X: .* scale of 0\.0002, .* set aside$") as caught:
        dn_offset_of("S2X", {}, {"raster:scale": 0.0002})
    assert caught.value.scene_id == "S2X"


REAL_OFFSETS: dict[str, int | None] = {
    "cdse__*": ESA_OFFSET,
    "earthsearch__*_0_L2A": 0,
    "earthsearch__*_1_L2A": 0,
    "mapchete_earthsearch__S2A_32TMS_20221207_0_L2A": 0,
    "mapchete_earthsearch__S2A_33TWN_20210629_0_L2A": 0,
    "mapchete_earthsearch__S2B_33TWN_20220226_0_L2A": None,
    "pc__*": 0,
    "pystacclient_sentinel-2-c1-l2a__*": ESA_OFFSET,
    "pystacclient_sentinel-2-l2a__S2A_MSIL2A_20190101*": 0,
    "pystacclient_sentinel-2-l2a__S2B_20EPT_20250731_0_L2A": 0,
}


@pytest.mark.filterwarnings("ignore:Could not parse bucket:UserWarning")
@pytest.mark.parametrize(("pattern", "expected"), REAL_OFFSETS.items())
def test_real_items_give_the_offset_of_their_archive(shared_data: Path, pattern: str, expected: int | None) -> None:
    files = sorted((shared_data / "stac").glob(f"{pattern}.json"))
    assert files
    for file in files:
        item = pystac.Item.from_dict(json.loads(file.read_text()))
        assert scene_of(item).dn_offset == expected, file.name


def test_every_real_item_is_looked_at(shared_data: Path) -> None:
    folder = shared_data / "stac"
    looked_at = [file for pattern in REAL_OFFSETS for file in folder.glob(f"{pattern}.json")]
    assert sorted(looked_at) == sorted(folder.glob("*.json"))
