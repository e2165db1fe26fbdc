"""KML for globes, GPX for a GPS: what a volunteer takes along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import shapely
from shapely.geometry.base import BaseGeometry

from api.exports.about import about_text
from api.exports.columns import COLUMNS, point_of
from api.exports.markup import attribute, element, text
from api.features import AlertFeature, CollectionInfo

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_STYLES: Final = {"abusive": ("ff2d2dd7", "802d2dd7"), "other": ("ff1e8cf0", "601e8cf0")}
"""Colours of lines and faces, as KML has them: opacity, blue, green, red."""


def short_name(feature: AlertFeature) -> str:
    """A name that fits the screen of a GPS: the end of the identity, and the hectares."""
    return f"{feature.id[-8:]} {feature.properties['area_ha']:.1f} ha"


def summary_fr(feature: AlertFeature) -> str:
    """What a volunteer wants to know, in a sentence."""
    told = feature.properties
    since = "" if told.get("last_intact") is None else f" entre le {told['last_intact']} et"
    parts = [f"{told['area_ha']:.2f} ha perdus{since} le {told['first_low']}", _STATES[told["state"]]]
    if told.get("commune"):
        parts.append(f"{told['commune']} ({told.get('departement') or '?'})")
    met = [str(each["code"]) for each in told.get("criteria") or () if each.get("met")]
    if met:
        parts.append("critères : " + ", ".join(met))
    if told.get("clearcut_probability") is not None:
        parts.append(f"probabilité de coupe rase {told['clearcut_probability']:.0%}")
    return " ; ".join(parts) + "."


_STATES: Final = {"provisional": "à confirmer par une autre image", "confirmed": "confirmé par plusieurs images"}


def kml(features: Iterable[AlertFeature], info: CollectionInfo) -> Iterator[str]:
    """KML 2.2 (OGC 07-147r2): outlines with all columns."""
    yield f'{_HEAD}<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
    yield element("name", info.title) + element("description", about_text(info))
    for name, (line, face) in _STYLES.items():
        colours = (
            f"<LineStyle><color>{line}</color><width>2</width></LineStyle><PolyStyle><color>{face}</color></PolyStyle>"
        )
        yield f'<Style id="{name}">{colours}</Style>'
    yield "\n"
    for feature in features:
        style = "abusive" if feature.properties.get("potentially_abusive") else "other"
        yield (
            f"<Placemark id={attribute(feature.id)}>{element('name', short_name(feature))}"
            f"{element('description', summary_fr(feature))}<styleUrl>#{style}</styleUrl>"
            f"<ExtendedData>{_data('id', 'Alerte', feature.id)}"
            f"{''.join(_data(c.name, c.french, c.value(feature.properties)) for c in COLUMNS)}</ExtendedData>"
            f"{_kml_shape(feature.geometry)}</Placemark>\n"
        )
    yield "</Document></kml>\n"


def _data(name: str, words: str, value: Any) -> str:
    if value is None:
        return ""
    return f"<Data name={attribute(name)}>{element('displayName', words)}{element('value', value)}</Data>"


def _kml_shape(shape: BaseGeometry) -> str:
    if shape.geom_type == "MultiPolygon":
        return f"<MultiGeometry>{''.join(_kml_shape(part) for part in shape.geoms)}</MultiGeometry>"

    def ring(kind: str, line: BaseGeometry) -> str:
        places = " ".join(f"{x:.7f},{y:.7f}" for x, y in shapely.get_coordinates(line))
        return f"<{kind}><LinearRing><coordinates>{places}</coordinates></LinearRing></{kind}>"

    holes = "".join(ring("innerBoundaryIs", line) for line in shape.interiors)
    return f"<Polygon>{ring('outerBoundaryIs', shape.exterior)}{holes}</Polygon>"


def gpx(features: Iterable[AlertFeature], info: CollectionInfo) -> Iterator[str]:
    """GPX 1.1: a way-point within each outline."""
    yield (
        f'{_HEAD}<gpx version="1.1" creator="Sylvigie" xmlns="http://www.topografix.com/GPX/1/1"><metadata>'
        f"{element('name', info.title)}{element('desc', about_text(info))}"
        f"{element('time', info.made.strftime('%Y-%m-%dT%H:%M:%SZ'))}</metadata>\n"
    )
    for feature in features:
        longitude, latitude = point_of(feature)
        yield (
            f'<wpt lat="{latitude:.7f}" lon="{longitude:.7f}">{element("name", short_name(feature))}'
            f"<cmt>{text(feature.id)}</cmt><desc>{text(summary_fr(feature))}</desc><sym>Flag, Red</sym></wpt>\n"
        )
    yield "</gpx>\n"
