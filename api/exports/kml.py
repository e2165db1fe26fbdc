"""KML: a placemark an alert, written as it comes.

References
----------
OGC 12-007r2, OGC KML 2.3, https://docs.ogc.org/is/12-007r2/12-007r2.html: the order of elements; colours are aabbggrr.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import shapely
from shapely.geometry.base import BaseGeometry

from api.exports import about, captions
from api.exports.captions import Look
from api.exports.columns import COLUMNS, ID, cells
from api.exports.tables import clean
from api.features import AlertFeature, CollectionInfo

_LINE_AND_FILL = {
    Look.CLOSED: ("ff808080", "40808080"),
    Look.ABUSIVE: ("ff1c1ae3", "801c1ae3"),
    Look.CONFIRMED: ("ff007fff", "80007fff"),
    Look.PROVISIONAL: ("ff00d7ff", "4000d7ff"),
}
"""Colours as KML writes them, with those of `api.exports.qgis_styles`."""


def document(features: Iterable[AlertFeature], info: CollectionInfo) -> Iterator[str]:
    """A KML document; its description and extended data say whose it is."""
    said = "\n".join(f"{name} : {text}" for name, text in about.lines_fr(info))
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2">\n<Document>\n'
        f"<name>{_xml(info.title)}</name>\n<description>{_xml(_for_balloon(said))}</description>\n"
    )
    for look, (line, fill) in _LINE_AND_FILL.items():
        yield (
            f'<Style id="{look.value}"><LineStyle><color>{line}</color><width>2</width></LineStyle>'
            f"<PolyStyle><color>{fill}</color></PolyStyle></Style>\n"
        )
    yield _extended(chain(about.on_each_feature(info).items(), _versions(info)))
    for feature in features:
        yield _placemark(feature)
    yield "</Document>\n</kml>\n"


def _versions(info: CollectionInfo) -> Iterator[tuple[str, str]]:
    yield "model_versions", ", ".join(info.model_versions)
    yield "rules_versions", ", ".join(info.rules_versions)


def _placemark(feature: AlertFeature) -> str:
    names = (column.name for column in (ID, *COLUMNS))
    known = [(name, value) for name, value in zip(names, cells(feature), strict=True) if value is not None]
    look = captions.look(feature.properties)
    return (
        f"<Placemark id={quoteattr(clean(feature.id))}><name>{_xml(captions.title(feature))}</name>\n"
        f"<description>{_xml(_for_balloon(chr(10).join(captions.lines(feature))))}</description>\n"
        f"<styleUrl>#{look.value}</styleUrl>\n{_extended(known)}{_geometry(feature.geometry)}</Placemark>\n"
    )


def _extended(known: Iterable[tuple[str, Any]]) -> str:
    """Data by name; names are our own, without marks."""
    data = "".join(
        f'<Data name="{name}"><value>{escape(clean(_written(value)))}</value></Data>' for name, value in known
    )
    return f"<ExtendedData>{data}</ExtendedData>\n"


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _geometry(outline: BaseGeometry) -> str:
    """The outline as `Polygon` in a `MultiGeometry`, or alone; nothing where it is empty."""
    polygons = [
        f"<Polygon>{_ring('outerBoundaryIs', part.exterior)}"
        f"{''.join(_ring('innerBoundaryIs', hole) for hole in part.interiors)}</Polygon>"
        for part in shapely.get_parts(outline)
        if not part.is_empty
    ]
    if len(polygons) == 1:
        return polygons[0]
    return f"<MultiGeometry>{''.join(polygons)}</MultiGeometry>" if polygons else ""


def _ring(element: str, ring: BaseGeometry) -> str:
    points = " ".join(f"{lon!r},{lat!r}" for lon, lat in shapely.get_coordinates(ring).tolist())
    return f"<{element}><LinearRing><coordinates>{points}</coordinates></LinearRing></{element}>"


def _for_balloon(text: str) -> str:
    """A description, which viewers take for HTML: marks in it stay marks."""
    return html.escape(text, quote=False).replace("\n", "<br/>\n")


def _xml(text: str) -> str:
    return escape(clean(text))
