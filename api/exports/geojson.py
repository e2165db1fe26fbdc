"""GeoJSON (RFC 7946), as a collection or a feature a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from api.exports.about import about
from api.features import AlertFeature, CollectionInfo

MEMBER = "sylvigie"
"""Foreign member (RFC 7946, section 6.1) in which an export says what it is."""


def collection(features: Iterable[AlertFeature], info: CollectionInfo) -> Iterator[str]:
    """A FeatureCollection, a feature on each line."""
    head = {"type": "FeatureCollection", "name": "sylvigie-alerts", MEMBER: about(info)}
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "features": ['
    before = "\n"
    for feature in features:
        yield before + feature.text
        before = ",\n"
    yield "\n]}\n"


def lines(features: Iterable[AlertFeature], info: CollectionInfo) -> Iterator[str]:
    """A feature on each line; the first says what the export is, for there is no other place."""
    told = f', "{MEMBER}": {json.dumps(about(info), ensure_ascii=False)}}}'
    for number, feature in enumerate(features):
        yield (feature.text if number else feature.text.rstrip()[:-1] + told) + "\n"
