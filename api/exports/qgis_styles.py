"""How QGIS and QField draw the layers of a GeoPackage, and the forms that they show: QML styles.

References
----------
QGIS has no specification of QML; the elements are those that QGIS 3.28 writes, and only those that differ from its
defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from api.exports.captions import Look
from api.exports.columns import COLUMNS, ID
from api.exports.tables import Kind
from api.reports.form import FORM, TABS, Answer, FormField

_DOCTYPE: Final = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_VERSION: Final = "3.28.0"
_POINT, _POLYGON = "0", "2"

LOOKS: Final = MappingProxyType(
    {
        Look.ABUSIVE: ("Potentiellement abusive", "227,26,28"),
        Look.CONFIRMED: ("Confirmée par l'imagerie", "255,127,0"),
        Look.PROVISIONAL: ("Provisoire", "255,215,0"),
        Look.CLOSED: ("Close", "128,128,128"),
    }
)
"""What the legend says, and the colour (red, green, blue)."""

_WHICH_LOOK: Final = (
    "CASE WHEN \"status\" = 'closed' THEN 'closed' WHEN \"potentially_abusive\" THEN 'abusive' "
    "WHEN \"state\" = 'confirmed' THEN 'confirmed' ELSE 'provisional' END"
)
"""`api.exports.captions.look`, as QGIS evaluates it."""


def alerts_style() -> str:
    """QML of the alerts: colours by state, names of the fields in French, a form that only shows."""
    root = _root(_POLYGON)
    renderer = SubElement(root, "renderer-v2", type="categorizedSymbol", attr=_WHICH_LOOK, symbollevels="0")
    categories, symbols = SubElement(renderer, "categories"), SubElement(renderer, "symbols")
    for i, (look, (label, colour)) in enumerate(LOOKS.items()):
        SubElement(categories, "category", symbol=str(i), value=look.value, label=label, type="string", render="true")
        paint = {"color": f"{colour},90", "outline_color": f"{colour},255", "outline_width": "0.6", "style": "solid"}
        _symbol(symbols, str(i), "fill", "SimpleFill", paint)
    columns = (ID, *COLUMNS)
    names = [column.name for column in columns]
    widgets = SubElement(root, "fieldConfiguration")
    for column in columns:
        if column.kind is Kind.DATE:
            _widget(widgets, column.name, "DateTime", _DAY)
        else:
            _widget(widgets, column.name, "TextEdit", {"IsMultiline": column.kind is Kind.TEXT})
    _aliases(root, {column.name: column.fr + (f" ({column.unit})" if column.unit else "") for column in columns})
    editable = SubElement(root, "editable")
    for name in names:
        SubElement(editable, "field", name=name, editable="0")
    SubElement(root, "previewExpression").text = 'concat(round("area_ha", 1), \' ha \', "commune")'
    return _text(root)


def reports_style() -> str:
    """QML of the observation reports: a form in French, by tabs, for a phone."""
    root = _root(_POINT)
    renderer = SubElement(root, "renderer-v2", type="singleSymbol", symbollevels="0")
    paint = {"name": "circle", "color": "31,120,180,255", "outline_color": "255,255,255,255", "size": "3.5"}
    _symbol(SubElement(renderer, "symbols"), "0", "marker", "SimpleMarker", paint)
    widgets = SubElement(root, "fieldConfiguration")
    for field in FORM:
        _form_widget(widgets, field)
    _aliases(root, {field.name: field.fr for field in FORM})
    defaults, constraints = SubElement(root, "defaults"), SubElement(root, "constraints")
    for name, expression in _DEFAULTS.items():
        SubElement(defaults, "default", field=name, expression=expression, applyOnUpdate="0")
        # Not null, hard: QGIS's constraint 1, strength 1.
        strengths = {
            "notnull_strength": "1" if name != "alert_id" else "2",
            "unique_strength": "0",
            "exp_strength": "0",
        }
        SubElement(constraints, "constraint", {"field": name, "constraints": "1", **strengths})
    SubElement(root, "editorlayout").text = "tablayout"
    form = SubElement(root, "attributeEditorForm")
    order = [field.name for field in FORM]
    for tab, fields in TABS:
        container = SubElement(form, "attributeEditorContainer", name=tab, columnCount="1", groupBox="0", showLabel="1")
        for field in fields:
            place = str(order.index(field.name) + 1)  # QGIS counts the feature's number, `fid`, as the first
            SubElement(container, "attributeEditorField", name=field.name, index=place, showLabel="1")
    SubElement(root, "previewExpression").text = 'concat("observed_on", \' \', "alert_id")'
    return _text(root)


_DAY: Final[Mapping[str, object]] = {
    "field_format": "yyyy-MM-dd",
    "display_format": "dd/MM/yyyy",
    "calendar_popup": True,
    "allow_null": True,
}
_PICTURE: Final[Mapping[str, object]] = {
    "DocumentViewer": 1,
    "FileWidget": True,
    "FileWidgetButton": True,
    "RelativeStorage": 1,
    "StorageMode": 0,
}
_DEFAULTS: Final[Mapping[str, str]] = {
    "id": "uuid('WithoutBraces')",
    "alert_id": "array_first(overlay_nearest('alertes', \"id\"))",
    "observed_on": "to_date(now())",
}


def _form_widget(widgets: Element, field: FormField) -> None:
    if field.answer is Answer.IDENTITY:
        _widget(widgets, field.name, "Hidden", {})
    elif field.answer is Answer.DAY:
        _widget(widgets, field.name, "DateTime", _DAY)
    elif field.answer is Answer.PHOTO:
        _widget(widgets, field.name, "ExternalResource", _PICTURE)
    elif field.answer is Answer.CHOICE:
        _widget(widgets, field.name, "ValueMap", {"map": [{label: value} for value, label in field.choices]})
    else:
        _widget(widgets, field.name, "TextEdit", {"IsMultiline": field.answer is Answer.PARAGRAPH})


def _root(geometry: str) -> Element:
    root = Element("qgis", version=_VERSION, styleCategories="Symbology|Fields|Forms")
    SubElement(root, "layerGeometryType").text = geometry
    return root


def _symbol(symbols: Element, name: str, kind: str, drawn_as: str, paint: Mapping[str, str]) -> None:
    symbol = SubElement(symbols, "symbol", name=name, type=kind, alpha="1", clip_to_extent="1")
    layer = SubElement(symbol, "layer", {"class": drawn_as, "enabled": "1", "pass": "0", "locked": "0"})
    _option(layer, None, dict(paint))


def _widget(widgets: Element, name: str, kind: str, config: Mapping[str, object]) -> None:
    field = SubElement(widgets, "field", name=name, configurationFlags="None")
    _option(SubElement(SubElement(field, "editWidget", type=kind), "config"), None, dict(config))


def _option(parent: Element, name: str | None, value: object) -> None:
    """A value as QGIS writes its variants."""
    named = {} if name is None else {"name": name}
    if isinstance(value, Mapping):
        inner = SubElement(parent, "Option", {"type": "Map", **named})
        for key, item in value.items():
            _option(inner, str(key), item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        inner = SubElement(parent, "Option", {"type": "List", **named})
        for item in value:
            _option(inner, None, item)
    elif isinstance(value, bool):
        SubElement(parent, "Option", {"type": "bool", **named, "value": "true" if value else "false"})
    else:
        kind = "int" if isinstance(value, int) else "QString"
        SubElement(parent, "Option", {"type": kind, **named, "value": str(value)})


def _aliases(root: Element, names: Mapping[str, str]) -> None:
    aliases = SubElement(root, "aliases")
    for i, (field, name) in enumerate(names.items(), start=1):
        SubElement(aliases, "alias", field=field, name=name, index=str(i))


def _text(root: Element) -> str:
    return _DOCTYPE + ET.tostring(root, encoding="unicode")
