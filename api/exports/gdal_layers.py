"""A layer of alerts by GDAL, drawn batch by batch: what GeoPackage and FlatGeobuf share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pyogrio.errors
import pyogrio.raw

from api.exports.record_batches import GEOMETRY, WGS84, ArrowReader
from api.features import AlertFeature
from tiles.errors import OutputError

LAYER: Final = "alertes"


def write_layer(
    features: Iterable[AlertFeature],
    path: Path,
    driver: str,
    metadata: Mapping[str, str] | None = None,
    dataset_options: Mapping[str, str] | None = None,
    **options: Any,
) -> None:
    """Write a layer of alerts.

    Parameters
    ----------
    features
        Drawn from once, batch by batch.
    path
        File to make; one that is there is removed first: GDAL would open it.
    driver
        GDAL's name of the format.
    metadata
        Of the layer.
    dataset_options, options
        Of GDAL's driver, for the file and for the layer.

    Raises
    ------
    OutputError
        When GDAL cannot write it. What goes wrong in drawing the features is raised as it is.
    """
    path.unlink(missing_ok=True)
    drawn = ArrowReader(features)
    try:
        pyogrio.raw.write_arrow(
            drawn.reader(),
            path,
            layer=LAYER,
            driver=driver,
            geometry_name=GEOMETRY,
            geometry_type="MultiPolygon",
            crs=WGS84,
            layer_metadata=dict(metadata) if metadata else None,
            dataset_options=dict(dataset_options) if dataset_options else None,
            layer_options=options or None,
        )
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, RuntimeError, OSError) as error:
        if drawn.fault is not None:
            raise drawn.fault from None
        raise OutputError(f"Cannot write {path}: {error}.") from error
    if drawn.fault is not None:
        raise drawn.fault
