"""GeoJSON, whole or a feature a line: the features as the store has them.

References
----------
RFC 7946, The GeoJSON Format, https://www.rfc-editor.org/rfc/rfc7946: section 6.1 allows members of our own.
GeoJSON text sequences without the RS character (newline-delimited GeoJSON) have no standard but are what GDAL, QGIS,
tippecanoe and jq read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from api.exports import about
from api.features import AlertFeature, CollectionInfo

MEMBER = "sylvigie"
"""What is said of the collection stands under this member, which GeoJSON leaves free."""


def collection(features: Iterable[AlertFeature], info: CollectionInfo) -> Iterator[str]:
    """A FeatureCollection, one feature a line, with what is said of it before the features."""
    yield (
        f'{{"type": "FeatureCollection", "name": "sylvigie-alerts", "{MEMBER}": '
        f'{_dumps(about.as_json(info))}, "features": ['
    )
    between = "\n"
    for feature in features:
        yield between + feature.text.strip()
        between = ",\n"
    yield "\n]}\n"


def lines(features: Iterable[AlertFeature], info: CollectionInfo) -> Iterator[str]:
    """A feature a line; each says whose it is, since there is nothing around them."""
    tail = f', "{MEMBER}": {_dumps(about.on_each_feature(info))}}}\n'
    for feature in features:
        yield feature.text.strip().removesuffix("}") + tail


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
