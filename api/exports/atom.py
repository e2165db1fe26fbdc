"""An Atom feed of alerts, for readers of feeds: a département's newest, each an entry.

References
----------
RFC 4287, The Atom Syndication Format. OGC 17-002r1, GeoRSS: ``georss:point`` is latitude first.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable
from typing import Final
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from api.exports import about, captions
from api.exports.columns import point_in
from api.exports.tables import clean
from api.features import AlertFeature, CollectionInfo

MEDIA_TYPE: Final = "application/atom+xml; charset=utf-8"
_ATOM: Final = "http://www.w3.org/2005/Atom"
_GEORSS: Final = "http://www.georss.org/georss"
_LICENCE_LINK: Final = "license"
"""Relation of RFC 4946, Atom License Extension."""


def atom_feed(
    features: Iterable[AlertFeature], info: CollectionInfo, page_of: Callable[[str], str] | None = None
) -> bytes:
    """Alerts as an Atom feed, in French.

    Identities are UUIDs made from those of the alerts (RFC 4122, version 5): the same in every feed, on every
    server, so that a reader shows an alert once.

    Parameters
    ----------
    features
        In the order of the feed, the newest first; as many as a feed should hold.
    info
        What the feed says of itself; the same `filters` make the same feed.
    page_of
        Address of an alert's page, from its identity; entries have no link where None.

    Returns
    -------
    feed
        UTF-8.
    """
    feed = Element("feed", {"xmlns": _ATOM, "xmlns:georss": _GEORSS, "xml:lang": "fr"})
    _leaf(feed, "id", _urn(f"feed?{about.filters_text(info)}"))
    _leaf(feed, "title", info.title)
    _leaf(feed, "subtitle", f"{info.estimator}. Licence : {info.licence}.")
    updated = _leaf(feed, "updated", about.made_text(info))
    _leaf(SubElement(feed, "author"), "name", info.source)
    _leaf(feed, "rights", f"{info.source}. Licence : {info.licence}")
    SubElement(feed, "link", rel=_LICENCE_LINK, href=clean(about.licence_url(info)))
    if info.link is not None:
        SubElement(feed, "link", rel="self", type="application/atom+xml", href=clean(info.link))
    versions = " ".join((*info.model_versions, *info.rules_versions))
    _leaf(feed, "generator", "Sylvigie").set("version", clean(versions) or "inconnue")
    moments = [_entry(feed, feature, about.made_text(info), page_of) for feature in features]
    if moments:
        updated.text = max(moments)
    document: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return document


def _entry(feed: Element, feature: AlertFeature, otherwise: str, page_of: Callable[[str], str] | None) -> str:
    """Add an alert to a feed; gives when it last changed."""
    properties = feature.properties
    day = properties.get("updated") or properties.get("first_detected")
    moment = otherwise if day is None else f"{dt.date.fromisoformat(str(day)[:10]).isoformat()}T00:00:00Z"
    entry = SubElement(feed, "entry")
    _leaf(entry, "id", _urn(feature.id))
    _leaf(entry, "title", captions.title(feature))
    _leaf(entry, "updated", moment)
    if page_of is not None:
        SubElement(entry, "link", rel="alternate", href=clean(page_of(feature.id)))
    for criterion in properties.get("criteria") or ():
        if criterion.get("met"):
            SubElement(entry, "category", term=clean(str(criterion["code"])))
    _leaf(entry, "content", "\n".join(captions.lines(feature))).set("type", "text")
    lon, lat = point_in(feature)
    if lon is not None:
        _leaf(entry, "georss:point", f"{lat} {lon}")
    return moment


def _leaf(parent: Element, name: str, text: str) -> Element:
    element = SubElement(parent, name)
    element.text = clean(text)
    return element


def _urn(name: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"sylvigie:{name}").urn
