"""Products as ESA packs them: what is read of their metadata, and what is said when it will not do."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio

from tests.fakes.archives import DATATAKE, PRODUCT, TILE, safe_metadata, write_safe
from tiles.catalog import SafeCatalogue, open_catalogue
from tiles.catalog.safe import item_of
from tiles.errors import CatalogueError, SceneError
from tiles.scene import ESA_OFFSET, NEEDED_BANDS

JULY = (dt.date(2023, 7, 1), dt.date(2023, 7, 31))


def test_a_product_is_a_scene(tmp_path: Path) -> None:
    product = write_safe(tmp_path / "2023" / "07")
    (scene,) = open_catalogue(str(tmp_path)).search(*JULY).scenes
    assert scene.id == PRODUCT
    assert scene.acquired == dt.datetime(2023, 7, 22, 10, 50, 31, 24000, dt.UTC)
    assert (scene.tile, scene.baseline, scene.dn_offset) == (TILE, "05.09", ESA_OFFSET)
    assert scene.datatake == DATATAKE.rpartition("_N")[0]
    names = ("R10m/T31TDK_20230722T105031_B04_10m.jp2", "R10m/T31TDK_20230722T105031_B08_10m.jp2")
    for band, name in zip(NEEDED_BANDS, (*names, "R20m/T31TDK_20230722T105031_SCL_20m.jp2"), strict=True):
        assert scene.hrefs[band] == str(product / "GRANULE/L2A_T31TDK_A042203_20230722T105629/IMG_DATA" / name)
        with rasterio.open(scene.hrefs[band]) as file:
            assert file.driver == "JP2OpenJPEG"


def test_a_product_a_folder_and_its_parent_are_one_catalogue(tmp_path: Path) -> None:
    product = write_safe(tmp_path / "31TDK")
    answers = [open_catalogue(str(place)).search(*JULY) for place in (product, product.parent, tmp_path)]
    assert len(answers[0].scenes) == 1
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize(
    ("baseline", "offset", "expected"), [("02.14", None, 0), ("02.14", 0, 0), ("05.10", -1000, ESA_OFFSET)]
)
def test_the_offset_is_what_the_metadata_says(tmp_path: Path, baseline: str, offset: int | None, expected: int) -> None:
    write_safe(tmp_path, metadata=safe_metadata(baseline=baseline, offset=offset))
    (scene,) = SafeCatalogue(tmp_path).search(*JULY).scenes
    assert scene.dn_offset == expected


def test_an_offset_that_no_archive_has_is_set_aside(tmp_path: Path) -> None:
    write_safe(tmp_path, metadata=safe_metadata(baseline="05.09", offset=-500))
    found = SafeCatalogue(tmp_path).search(*JULY)
    assert found.scenes == ()
    (left,) = found.skipped
    assert (left.id, left.superseded) == (PRODUCT, False)
    assert "-500" in left.reason


@pytest.mark.parametrize(("baseline", "offset"), [("02.14", -1000), ("05.09", None)])
def test_an_offset_against_the_baseline_is_left_to_the_pixels(
    tmp_path: Path, baseline: str, offset: int | None
) -> None:
    write_safe(tmp_path, metadata=safe_metadata(baseline=baseline, offset=offset))
    assert [scene.dn_offset for scene in SafeCatalogue(tmp_path).search(*JULY).scenes] == [None]


def test_products_of_2017_name_their_files_by_another_tag(tmp_path: Path) -> None:
    metadata = safe_metadata(baseline="02.06", offset=None, image_tag="IMAGE_FILE_2A")
    metadata = metadata.replace("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE")
    write_safe(tmp_path, metadata=metadata)
    assert len(SafeCatalogue(tmp_path).search(*JULY).scenes) == 1


def _without(tag: str) -> Callable[[Path], None]:
    def spoil(product: Path) -> None:
        path = product / "MTD_MSIL2A.xml"
        lines = path.read_text().splitlines()
        kept = [line for line in lines if f"<{tag}" not in line]
        assert len(kept) < len(lines)
        path.write_text("\n".join(kept))

    return spoil


def _replaced(old: str, new: str) -> Callable[[Path], None]:
    def spoil(product: Path) -> None:
        path = product / "MTD_MSIL2A.xml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return spoil


def _unlinked(pattern: str) -> Callable[[Path], None]:
    def spoil(product: Path) -> None:
        (path,) = product.rglob(pattern)
        path.unlink()

    return spoil


_BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_unlinked("MTD_MSIL2A.xml"), "has no MTD_MSIL2A.xml"),
        (_unlinked("*_SCL_20m.jp2"), r"its file GRANULE/.*_SCL_20m\.jp2 is missing"),
        (_unlinked("*_B08_10m.jp2"), r"_B08_10m\.jp2 is missing"),
        (_replaced("_SCL_20m", "_XXX_20m"), "names no SCL file"),
        (_replaced("_B02_10m", "_B04_10m"), "more than one B04 file"),
        (_replaced("T31TDK_20230722T105031_B04_10m", "T31TEK_20230722T105031_B04_10m"), "is missing"),
        (_replaced("</n1:General_Info>", ""), r"cannot be read \(mismatched tag"),
        (_replaced("<n1:Level-2A_User_Product", f"{_BOMB}<n1:Level-2A_User_Product"), "a document type"),
        (_replaced('encoding="UTF-8"', 'encoding="no-such"'), "cannot be read"),
        (_without("BOA_QUANTIFICATION_VALUE"), "does not say by what"),
        (_replaced(">10000<", ">many<"), "no number"),
        (_replaced(">10000<", ">0<"), "no number"),
        (_replaced(">10000<", ">1000<"), "a scale of 0.001"),
        (_replaced('band_id="7">-1000', 'band_id="7">0'), "different offsets"),
        (_replaced('band_id="3">-1000', 'band_id="3">'), "different offsets"),
        (_without("PRODUCT_START_TIME"), "no datetime|of its time"),
        (_replaced("2023-07-22T10:50:31.024Z", "yesterday"), "says yesterday of its time"),
    ],
)
def test_a_product_that_will_not_do_is_named_and_the_others_are_read(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    write_safe(tmp_path)
    spoilt = PRODUCT.replace("20230722T105031", "20230712T105031")
    spoil(write_safe(tmp_path, name=spoilt))
    found = SafeCatalogue(tmp_path).search(*JULY)
    assert [scene.id for scene in found.scenes] == [PRODUCT]
    (left,) = found.skipped
    assert (left.id, left.superseded) == (spoilt, False)
    assert re.search(said, left.reason), left.reason
    assert "\n" not in left.reason


def test_days_boxes_and_tiles_are_told_apart(tmp_path: Path) -> None:
    write_safe(tmp_path)
    catalogue = SafeCatalogue(tmp_path)
    assert len(catalogue.search(*JULY, (2.95, 45.15, 2.96, 45.16), tile=TILE).scenes) == 1
    assert catalogue.search(*JULY, tile="31TEK").scenes == ()
    assert catalogue.search(*JULY, (3.5, 45.15, 3.6, 45.16)).scenes == ()
    assert catalogue.search(*JULY, (2.95, 44.0, 2.96, 44.1)).scenes == ()
    assert catalogue.search(dt.date(2023, 7, 23), dt.date(2023, 7, 31)).scenes == ()


def test_a_product_without_a_footprint_is_not_lost(tmp_path: Path) -> None:
    product = write_safe(tmp_path)
    _without("EXT_POS_LIST")(product)
    assert len(SafeCatalogue(tmp_path).search(*JULY, (3.5, 45.15, 3.6, 45.16)).scenes) == 1


def test_products_of_other_days_and_tiles_are_not_opened(tmp_path: Path) -> None:
    write_safe(tmp_path)
    for name in (PRODUCT.replace("20230722T105031", "20210722T105031"), PRODUCT.replace("T31TDK", "T31TEK")):
        _unlinked("MTD_MSIL2A.xml")(write_safe(tmp_path, name=name))
    found = SafeCatalogue(tmp_path).search(*JULY, tile=TILE)
    assert ([scene.id for scene in found.scenes], found.skipped) == ([PRODUCT], ())


def test_two_processings_of_a_pass_are_one_scene(tmp_path: Path) -> None:
    older = PRODUCT.replace("N0509", "N0400")
    write_safe(tmp_path, name=older, metadata=safe_metadata(older, "04.00"))
    write_safe(tmp_path)
    found = SafeCatalogue(tmp_path).search(*JULY)
    assert [scene.id for scene in found.scenes] == [PRODUCT]
    assert [(left.id, left.superseded) for left in found.skipped] == [(older, True)]


def test_level_1c_beside_is_named_and_hurts_nothing(tmp_path: Path) -> None:
    write_safe(tmp_path)
    (tmp_path / f"{PRODUCT.replace('MSIL2A', 'MSIL1C')}.SAFE").mkdir()
    found = SafeCatalogue(tmp_path).search(*JULY)
    assert len(found.scenes) == 1
    assert [(left.reason, left.superseded) for left in found.skipped] == [("it is of level 1C, and 2A is read", True)]


def test_a_folder_of_products_and_a_catalogue_is_the_catalogue(small_archive: Path) -> None:
    write_safe(small_archive)
    assert len(open_catalogue(str(small_archive)).search(dt.date(2019, 7, 1), dt.date(2019, 7, 31)).scenes) == 2


def test_a_folder_without_products_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="No product in"):
        SafeCatalogue(tmp_path)
    with pytest.raises(SceneError, match="has no MTD_MSIL2A"):
        item_of(tmp_path / "S2A_MSIL2A_.SAFE")
