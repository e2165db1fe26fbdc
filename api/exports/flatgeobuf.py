"""FlatGeobuf: one layer with a spatial index, which web maps read by ranges.

References
----------
FlatGeobuf specification, https://flatgeobuf.org: the header's metadata are a JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from api.exports import about
from api.exports.gdal_layers import write_layer
from api.features import AlertFeature, CollectionInfo


def write_flatgeobuf(features: Iterable[AlertFeature], info: CollectionInfo, path: Path) -> None:
    """Write alerts as FlatGeobuf; GDAL sorts them by place: it keeps an index entry an alert, and a buffer.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    write_layer(
        features,
        path,
        "FlatGeobuf",
        TITLE=info.title,
        DESCRIPTION=json.dumps(about.as_json(info), ensure_ascii=False),
        TEMPORARY_DIR=str(path.parent),
    )
