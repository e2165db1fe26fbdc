"""Atom feed of the newest alerts (RFC 4287, GeoRSS): for those who want to be told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Final

from api.exports.columns import point_of
from api.exports.markup import attribute, element, text
from api.exports.waypoints import summary_fr
from api.features import AlertFeature, CollectionInfo

MEDIA_TYPE: Final = "application/atom+xml; charset=utf-8"


def feed(
    features: Iterable[tuple[AlertFeature, dt.datetime]], info: CollectionInfo, *, identity: str, items_url: str
) -> Iterator[str]:
    """The feed.

    Parameters
    ----------
    features
        Alerts, the newest change first, and when the store last changed each.
    info
        Its `link` is the feed's own address.
    identity
        Of the feed, for good: a URI.
    items_url
        Address of the collection's items: an alert is one of them.
    """
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:georss="http://www.georss.org/georss" xml:lang="fr">'
        f"{element('id', identity)}{element('title', info.title)}{element('updated', _moment(info.made))}"
        f"{element('subtitle', info.estimator)}{element('rights', info.licence)}"
        f'<author>{element("name", info.source)}</author><link rel="self" href={attribute(info.link or identity)}/>\n'
    )
    for feature, changed_at in features:
        longitude, latitude = point_of(feature)
        told = feature.properties
        title = f"{told['area_ha']:.2f} ha, {told.get('commune') or 'commune inconnue'}"
        yield (
            f"<entry>{element('id', f'urn:sylvigie:{feature.id}')}"
            f"{element('title', title)}{element('updated', _moment(changed_at))}"
            f'<link rel="alternate" type="application/geo+json" href={attribute(f"{items_url}/{feature.id}")}/>'
            f'<summary type="text">{text(summary_fr(feature))}</summary>'
            f"<georss:point>{latitude:.7f} {longitude:.7f}</georss:point></entry>\n"
        )
    yield "</feed>\n"


def _moment(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
