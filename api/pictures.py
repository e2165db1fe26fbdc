"""Pictures and map tiles of what is kept as rasters: chips of alerts, change maps."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rasterio.errors import RasterioError
from rasterio.warp import transform_geom
from rio_tiler.errors import EmptyMosaicError, TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.models import ImageData
from rio_tiler.mosaic import mosaic_reader
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from tiles.change import CHANGE_BANDS, STATE_COLOURS
from tiles.errors import NotFoundError, PictureError
from tiles.pixel_state import PixelState

TILE_PX: Final = 256
_OUTLINE_COLOUR: Final = (255, 60, 60)


class PictureForm(StrEnum):
    """How pictures are written."""

    PNG = "png"
    WEBP = "webp"

    @property
    def media_type(self) -> str:
        """What HTTP calls it."""
        return f"image/{self.value}"


class ChipKind(StrEnum):
    """What of a chip is shown."""

    TRUE_COLOUR = "true_colour"
    NDVI = "ndvi"


class ChangeLayer(StrEnum):
    """What of a change map is shown."""

    STATE = "state"
    NDVI_DROP = "ndvi_drop"


_STATE_WORDS: Final = {
    PixelState.PROVISIONAL: ("perte à confirmer", "loss to be confirmed"),
    PixelState.CONFIRMED: ("perte confirmée", "confirmed loss"),
    PixelState.UNOBSERVED: ("non observé", "not observed"),
    PixelState.INTACT: ("forêt intacte", "intact forest"),
}
"""Of the states that are shown; what is no forest is not."""
_OPACITY: Final = {PixelState.UNOBSERVED: 90, PixelState.INTACT: 60}
"""Of the states that are no loss: the map below shows through."""
_DROP_BAND: Final = 1 + [band.name for band in CHANGE_BANDS].index("ndvi_drop")
_DROP_SCALE: Final = next(band.scale for band in CHANGE_BANDS if band.name == "ndvi_drop")
_NDVI_RAMP: Final = (
    (0, (120, 80, 50)),
    (64, (200, 165, 110)),
    (128, (240, 235, 170)),
    (190, (120, 180, 80)),
    (255, (10, 80, 30)),
)
_DROP_RAMP: Final = ((0, (255, 255, 229)), (85, (254, 196, 79)), (170, (217, 95, 14)), (255, (127, 20, 10)))
_MOST_DROP: Final = 0.8
"""NDVI drop that is shown darkest."""


def chip_picture(path: Path, kind: ChipKind, form: PictureForm, size_px: int, outline: BaseGeometry | None) -> bytes:
    """A chip as a picture.

    Parameters
    ----------
    path
        Of the chip (`detector.chips`).
    kind, form
        What, and how.
    size_px
        Longer side; pixels of the image are shown as squares, not smoothed.
    outline
        Drawn over it, WGS 84; None draws none.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such chip, or it has no colours.
    tiles.errors.PictureError
        When it is damaged.
    """
    pixels, alpha, transform, crs = _read(path, kind)
    picture = Image.fromarray(np.dstack([pixels, alpha]), "RGBA")
    scale = size_px / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.NEAREST)
    if outline is not None:
        _draw(picture, outline, transform, crs, scale)
    return _written(picture, form)


def chip_tile(path: Path, kind: ChipKind, form: PictureForm, z: int, x: int, y: int) -> bytes:
    """A chip as a tile of the web's grid; transparent around it.

    Raises
    ------
    tiles.errors.NotFoundError
        When there is no such chip, it has no colours, or the tile does not meet it.
    tiles.errors.PictureError
        When it is damaged.
    """
    try:
        with _opened(path) as reader:
            image = reader.tile(x, y, z, tilesize=TILE_PX, resampling_method="nearest")
    except TileOutsideBounds as error:
        raise NotFoundError(f"The tile {z}/{x}/{y} does not meet the chip.") from error
    except RasterioError as error:
        raise PictureError(f"The chip {path.name} cannot be read.") from error
    layers = image.array.filled(0)
    pixels, known = _coloured(layers, kind), _known(layers, kind) & (image.mask > 0)
    alpha = np.where(known, 255, 0).astype(np.uint8)
    return _written(Image.fromarray(np.dstack([pixels, alpha]), "RGBA"), form)


def change_tile(paths: Sequence[Path], layer: ChangeLayer, form: PictureForm, z: int, x: int, y: int) -> bytes:
    """Change maps as a tile of the web's grid; transparent where nothing is told.

    Parameters
    ----------
    paths
        For `ChangeLayer.STATE` maps of states, else change maps; of several Sentinel-2 tiles the first counts where
        they overlap.
    layer, form
        What, and how.

    Raises
    ------
    tiles.errors.NotFoundError
        When none meets the tile.
    tiles.errors.PictureError
        When one is damaged.
    """
    band = 1 if layer is ChangeLayer.STATE else _DROP_BAND

    def read(path: Path, x: int, y: int, z: int) -> ImageData:
        with _opened(path) as reader:
            image: ImageData = reader.tile(x, y, z, tilesize=TILE_PX, indexes=(band,), resampling_method="nearest")
            return image

    there = [path for path in paths if path.is_file()]
    if not there:
        raise NotFoundError(f"No change map meets the tile {z}/{x}/{y}.")
    try:
        image, _ = mosaic_reader(there, read, x, y, z, threads=0)
    except EmptyMosaicError as error:
        raise NotFoundError(f"No change map meets the tile {z}/{x}/{y}.") from error
    except RasterioError as error:
        raise PictureError("A change map cannot be read.") from error
    values, valid = image.array.filled(0)[0], image.mask > 0
    if layer is ChangeLayer.STATE:
        table = np.zeros((256, 4), np.uint8)
        for state in _STATE_WORDS:
            table[int(state)] = (*STATE_COLOURS[state][:3], _OPACITY.get(state, 255))
        rgba = table[values.astype(np.uint8)]
    else:
        drop = values.astype(np.float32) * _DROP_SCALE
        index = np.rint(np.clip(drop / _MOST_DROP * 255, 0, 255)).astype(np.uint8)
        rgba = np.dstack([_ramp(_DROP_RAMP)[index], np.where(drop > 0, 230, 0).astype(np.uint8)])
    rgba[~valid] = 0
    return _written(Image.fromarray(np.ascontiguousarray(rgba), "RGBA"), form)


def legend(layer: ChangeLayer) -> list[dict[str, Any]]:
    """What the colours of a layer mean: colour, French, English, and the value where it is a number."""
    if layer is ChangeLayer.STATE:
        return [
            {"colour": _hex(STATE_COLOURS[state][:3]), "fr": french, "en": english, "value": None}
            for state, (french, english) in _STATE_WORDS.items()
        ]
    return [
        {
            "colour": _hex(colour),
            "fr": f"baisse du NDVI de {at / 255 * _MOST_DROP:.2f}",
            "en": f"NDVI drop of {at / 255 * _MOST_DROP:.2f}",
            "value": round(at / 255 * _MOST_DROP, 2),
        }
        for at, colour in _DROP_RAMP
    ]


def _opened(path: Path) -> Reader:
    if not path.is_file():
        raise NotFoundError(f"There is no picture {path.name} of this.")
    return Reader(str(path))


def _read(path: Path, kind: ChipKind) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Any, Any]:
    if not path.is_file():
        raise NotFoundError(f"There is no picture {path.name} of this.")
    try:
        with rasterio.open(path) as chip:
            layers, transform, crs = chip.read(), chip.transform, chip.crs
    except RasterioError as error:
        raise PictureError(f"The chip {path.name} cannot be read.") from error
    alpha = np.where(_known(layers, kind), 255, 0).astype(np.uint8)
    return _coloured(layers, kind), alpha, transform, crs


def _known(layers: NDArray[np.uint8], kind: ChipKind) -> NDArray[np.bool_]:
    """Where a chip holds what is shown: colours may be known where the NDVI is not."""
    return np.asarray((layers[-1] if kind is ChipKind.NDVI else layers[0]) > 0)


def _coloured(layers: NDArray[np.uint8], kind: ChipKind) -> NDArray[np.uint8]:
    """Red, green, blue: (rows, columns, 3)."""
    if kind is ChipKind.NDVI:
        return np.asarray(_ramp(_NDVI_RAMP)[layers[-1]], np.uint8)
    if layers.shape[0] < 4:
        raise NotFoundError("This archive has no blue and green bands: there is a picture of the NDVI alone.")
    return np.ascontiguousarray(np.moveaxis(layers[:3], 0, 2))


def _ramp(stops: Sequence[tuple[int, tuple[int, int, int]]]) -> NDArray[np.uint8]:
    """A table of 256 colours."""
    at = [stop for stop, _ in stops]
    channels = [np.interp(np.arange(256), at, [colour[i] for _, colour in stops]) for i in range(3)]
    return np.rint(np.column_stack(channels)).astype(np.uint8)


def _draw(picture: Image.Image, outline: BaseGeometry, transform: Any, crs: Any, scale: float) -> None:
    inverse, pen = ~transform, ImageDraw.Draw(picture)
    shape = transform_geom("OGC:CRS84", crs, mapping(outline))
    polygons = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
    for ring in (ring for polygon in polygons for ring in polygon):
        line = [tuple(value * scale for value in inverse @ point) for point in ring]
        pen.line(line, fill=_OUTLINE_COLOUR, width=max(1, round(picture.width / 200)))


def _written(picture: Image.Image, form: PictureForm) -> bytes:
    buffer = BytesIO()
    if form is PictureForm.WEBP:
        picture.save(buffer, "WEBP", quality=85, method=4)
    else:
        picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _hex(colour: Sequence[int]) -> str:
    return "#" + "".join(f"{value:02x}" for value in colour)
