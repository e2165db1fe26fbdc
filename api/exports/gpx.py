"""GPX: a way-point an alert, inside its outline, under a name that a GPS can show.

References
----------
GPX 1.1 Schema Documentation, https://www.topografix.com/GPX/1/1/: the order of elements.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

from api.exports import about, captions
from api.exports.columns import point_in
from api.exports.tables import clean
from api.features import AlertFeature, CollectionInfo

_ID_LETTERS = 8
"""Last of an identity: those that tell a tile's alerts apart (`detector.alerts`)."""


def waypoints(features: Iterable[AlertFeature], info: CollectionInfo) -> Iterator[str]:
    """A GPX document; its metadata say whose it is. An alert without an outline has no way-point."""
    said = "\n".join(f"{name} : {text}" for name, text in about.lines_fr(info))
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<gpx version="1.1" creator="Sylvigie" xmlns="http://www.topografix.com/GPX/1/1">\n<metadata>'
        f"<name>{_xml(info.title)}</name><desc>{_xml(said)}</desc>"
        f"<copyright author={quoteattr(clean(info.source))}><year>{about.made_utc(info).year}</year>"
        f"<license>{_xml(about.licence_url(info))}</license></copyright>"
        f"<time>{about.made_text(info)}</time></metadata>\n"
    )
    for feature in features:
        lon, lat = point_in(feature)
        if lon is None or lat is None:
            continue
        yield (
            f'<wpt lat="{lat:.6f}" lon="{lon:.6f}"><name>{_xml(short_name(feature))}</name>'
            f"<cmt>{_xml(captions.title(feature))}</cmt><desc>{_xml(chr(10).join(captions.lines(feature)))}</desc>"
            f"<src>Sylvigie</src><sym>Flag, Red</sym><type>{captions.look(feature.properties).value}</type></wpt>\n"
        )
    yield "</gpx>\n"


def short_name(feature: AlertFeature) -> str:
    """What tells an alert from the others of its tile, and its hectares: ``063e8685 12.3ha``; ASCII, up to 16 letters.

    GPS units cut long names at their end, where the identities of a tile differ.
    """
    area_ha = feature.properties.get("area_ha")
    size = "" if area_ha is None else f" {float(area_ha):.1f}ha"
    plain = unicodedata.normalize("NFKD", clean(feature.id)).encode("ascii", "ignore").decode()
    return f"{plain[-_ID_LETTERS:]}{size}"[:16]


def _xml(text: str) -> str:
    return escape(clean(text))
