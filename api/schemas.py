"""Shapes of the API's answers, for its description; most are written as text from the store, and checked by tests."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from detector.alerts import ReviewState


class Link(BaseModel):
    """Where something else is (RFC 8288)."""

    href: str = Field(examples=["http://localhost:8000/api/v1/collections"])
    rel: str = Field(examples=["next"])
    type: str | None = Field(default=None, examples=["application/geo+json"])
    title: str | None = None


class Landing(BaseModel):
    """The landing page."""

    title: str
    description: str
    attribution: str
    license: str
    links: list[Link]


class Conformance(BaseModel):
    """What the service conforms to."""

    conformsTo: list[str]  # noqa: N815 - the standard's name


class SpatialExtent(BaseModel):
    """Boxes, in degrees."""

    bbox: list[list[float]]
    crs: str


class Extent(BaseModel):
    """Where and when features lie."""

    spatial: SpatialExtent | None = None


class Collection(BaseModel):
    """A collection of features."""

    id: str = Field(examples=["alerts"])
    title: str
    description: str
    itemType: Literal["feature"] = "feature"  # noqa: N815
    crs: list[str]
    storageCrs: str  # noqa: N815
    extent: Extent | None = None
    links: list[Link]


class Collections(BaseModel):
    """All collections."""

    links: list[Link]
    collections: list[Collection]


class Geometry(BaseModel):
    """A geometry (RFC 7946)."""

    type: Literal["Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon"]
    coordinates: list[Any]


class Feature(BaseModel):
    """A feature (RFC 7946)."""

    model_config = ConfigDict(extra="allow")

    type: Literal["Feature"]
    id: str = Field(examples=["SYL-30TXP-20261004-0a1b2c3d"])
    geometry: Geometry | None
    properties: dict[str, Any] = Field(
        examples=[{"state": "confirmed", "area_ha": 12.4, "first_low": "2026-10-04", "departement": "40"}]
    )


class FeatureCollection(BaseModel):
    """A page of features."""

    type: Literal["FeatureCollection"]
    timeStamp: dt.datetime  # noqa: N815
    numberReturned: int  # noqa: N815
    numberMatched: int | None = Field(default=None, description="Told where it costs nothing to know.")  # noqa: N815
    links: list[Link]
    features: list[Feature]


class HistoryLine(BaseModel):
    """What one scan said of an alert, when it said something new."""

    month: str = Field(examples=["2026-10"])
    recorded_at: dt.datetime
    found_by: str = Field(examples=["monthly"])
    state: str
    status: str
    area_ha: float
    outline: str = Field(description="Its feature in the collection `outlines`.")


class SaidByRules(BaseModel):
    """What a version of the rules said."""

    month: str
    rules_version: str
    potentially_abusive: bool | None
    criteria: list[Any]
    legal_points: list[Any]


class SaidByModels(BaseModel):
    """What a version of the models said."""

    month: str
    model_version: str
    clearcut_probability: float | None
    abuse_score: float | None


class ReviewLine(BaseModel):
    """What was decided of an alert."""

    state_before: ReviewState
    state: ReviewState
    reason: str | None
    made_at: dt.datetime


class History(BaseModel):
    """All that was ever said of an alert."""

    id: str
    outlines: list[HistoryLine]
    evaluations: list[SaidByRules]
    scores: list[SaidByModels]
    reviews: list[ReviewLine]


class NewReview(BaseModel):
    """What is decided of an alert."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    state: ReviewState = Field(examples=["rejected"])
    reason: str | None = Field(default=None, min_length=1, max_length=200, examples=["dépérissement, vu sur place"])
    comment: str | None = Field(default=None, min_length=1, max_length=4000)


class Health(BaseModel):
    """How the service does."""

    status: Literal["ok"]
    version: str


class Readiness(BaseModel):
    """Whether the service can answer."""

    status: Literal["ready"]
    store: str = Field(examples=["sqlite"])
    revision: int
    changed_at: dt.datetime


class SeriesEntry(BaseModel):
    """What a date showed of an alert."""

    day: dt.date
    scene: str
    ndvi: float | None
    clear_share: float = Field(description="Of the alert's pixels, 0 to 1.")


class Series(BaseModel):
    """NDVI of an alert, date by date."""

    id: str
    dates: list[SeriesEntry]


class LegendEntry(BaseModel):
    """What a colour means."""

    colour: str = Field(examples=["#d72d2d"])
    fr: str
    en: str
    value: float | None
