"""Shapes of the API's answers, for its description; most are written as text from the store, and checked by tests."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from api.notices.addresses import Channel
from api.store.literals import DEPARTEMENT_PATTERN
from detector.alerts import ReviewState
from models.causes import Cause


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


class ExportedCollection(BaseModel):
    """A file of alerts, as `f=geojson` gives it: it says what it is by itself."""

    type: Literal["FeatureCollection"]
    name: str
    sylvigie: dict[str, Any] = Field(description="Title, source, licence, moment, versions, filters, estimator.")
    features: list[Feature]


class FeatureCollection(BaseModel):
    """A page of features."""

    type: Literal["FeatureCollection"]
    timeStamp: dt.datetime  # noqa: N815
    numberReturned: int  # noqa: N815
    numberMatched: int | None = Field(default=None, description="Told where it costs nothing to know.")  # noqa: N815
    links: list[Link]
    features: list[Feature]


class PageOrFile(RootModel[FeatureCollection | ExportedCollection]):
    """A page of features, or with `f=geojson` a file of all."""


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
    undone: bool = Field(description="Whether a later line takes it back.")
    undoes: bool = Field(description="Whether it takes another back.")


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
    reason: Cause | None = Field(
        default=None, description="What it was instead; of a rejection alone, and needed there.", examples=["dieback"]
    )
    comment: str | None = Field(default=None, min_length=1, max_length=4000)
    seen_state: ReviewState | None = Field(
        default=None, description="State that was seen; where another has changed it since, the answer is 409."
    )


class Assignment(BaseModel):
    """Who is asked to go and see: alerts by name, or all of a département that nobody has looked at."""

    model_config = ConfigDict(extra="forbid")

    user: int = Field(ge=1, le=2**53, description="Number of the person.")
    alerts: list[Annotated[str, Field(max_length=64)]] | None = Field(default=None, min_length=1, max_length=500)
    departement: str | None = Field(default=None, pattern=f"^{DEPARTEMENT_PATTERN}$", examples=["40"])

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.alerts is None) == (self.departement is None):
            raise ValueError("either alerts or departement is given")
        return self


class Assigned(BaseModel):
    """What came of it."""

    assigned: int


class NewComment(BaseModel):
    """What somebody says of an alert."""

    model_config = ConfigDict(extra="forbid")

    id: UUID = Field(description="Made by the client: sent twice, it is kept once.")
    text: str = Field(min_length=1, max_length=4000)


class CommentLine(BaseModel):
    """What somebody said of an alert."""

    id: UUID
    text: str
    made_at: dt.datetime
    by: str | None = Field(description="Name, for those who may see names.")
    mine: bool


class Favourites(BaseModel):
    """Identities of one's favourites, the newest first."""

    alerts: list[str]


class NewReport(BaseModel):
    """An observation report; `/api/v1/reports/form` lists its fields."""

    model_config = ConfigDict(extra="forbid")

    alert_id: str = Field(max_length=64, examples=["SYL-30TXP-20261004-0a1b2c3d"])
    observed_on: dt.date
    answers: dict[Annotated[str, Field(max_length=64)], str | None] = Field(
        max_length=100, examples=[{"weather": "pluie", "plantation": "no"}]
    )
    outline: dict[str, Any] | None = Field(default=None, description="GeoJSON, where it was corrected.")
    of_version: int | None = Field(default=None, ge=1, le=10_000, description="Version that this is written over.")


class ReportKept(BaseModel):
    """What was kept."""

    id: UUID
    version: int


class Report(BaseModel):
    """A version of a report."""

    id: UUID
    version: int
    alert_id: str
    observed_on: dt.date
    received_at: dt.datetime
    answers: dict[str, str]
    outline: dict[str, Any] | None


class Reports(BaseModel):
    """Versions of reports, by report and version."""

    reports: list[Report]


class FollowUp(BaseModel):
    """What was done about a report; for administrators alone."""

    model_config = ConfigDict(extra="forbid")

    answers: dict[Annotated[str, Field(max_length=64)], str | None] = Field(max_length=100)


class FormQuestion(BaseModel):
    """A field of the form."""

    name: str
    fr: str
    en: str
    answer: str
    choices: dict[str, str] = Field(description="Of a choice: what is sent, and what is read in French.")
    choices_en: dict[str, str] = Field(description="The same in English.")
    private: bool = Field(description="Whether it may name somebody: never given to the public.")


class FormTab(BaseModel):
    """A step of the form."""

    fr: str
    en: str
    fields: list[FormQuestion]


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


_Departements = Annotated[list[Annotated[str, Field(max_length=3)]], Field(max_length=110)]


class AuditLine(BaseModel):
    """Who did what."""

    seq: int
    at: dt.datetime
    actor: str
    action: str
    subject: str
    detail: str | None


class NewSubscription(BaseModel):
    """Which new alerts one wants to be told of."""

    model_config = ConfigDict(extra="forbid")

    channel: Channel
    address: str | None = Field(
        default=None, max_length=2000, description="Of a webhook; mail goes to one's account's."
    )
    departements: _Departements = []
    criteria: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=50)] = []
    min_area_ha: float | None = Field(default=None, ge=0, le=1e6)
    abusive_only: bool = False


class SubscriptionMade(BaseModel):
    """The subscription's number."""

    subscription: int


class SubscriptionInfo(BaseModel):
    """A subscription that stands."""

    subscription: int
    channel: Channel
    address: str
    departements: list[str]
    criteria: list[str]
    min_area_ha: float | None
    abusive_only: bool
    created_at: dt.datetime


class BaseLayerEntry(BaseModel):
    """A layer of maps under the alerts (WMTS)."""

    id: str = Field(examples=["plan"])
    fr: str
    en: str
    layer: str = Field(examples=["GEOGRAPHICALGRIDSYSTEMS.PLANIGNV2"])
    style: str
    format: str = Field(examples=["image/png"])
    kind: Literal["base", "overlay"]
    max_zoom: int


class Basemap(BaseModel):
    """Maps to lie under the alerts."""

    url: str = Field(examples=["https://data.geopf.fr/wmts"])
    attribution: str
    layers: list[BaseLayerEntry]


class PageSettings(BaseModel):
    """What the page needs to know first."""

    version: str
    basemap: Basemap | None
    openid: bool = Field(description="Whether one may sign in at an OpenID provider.")
    accounts: bool = Field(description="Whether anybody has an account: until then all may read all.")
    extent: list[float] | None = Field(description="West, south, east, north of the alerts.")


class PlaceEntry(BaseModel):
    """Somewhere that has a name."""

    kind: Literal["commune", "departement"]
    code: str = Field(description="INSEE's.", examples=["40246"])
    name: str = Field(examples=["Sabres"])
    bbox: list[float] = Field(
        description="West, south, east, north in degrees.", examples=[[-0.95, 44.05, -0.6, 44.23]]
    )


class BaseFeature(BaseModel):
    """A feature of the base map."""

    type: Literal["Feature"]
    geometry: Geometry
    properties: dict[str, str]


class FeatureCollectionOfBase(BaseModel):
    """Features of the base map."""

    type: Literal["FeatureCollection"]
    features: list[BaseFeature]


class SceneLeftOut(BaseModel):
    """A scene that was not read."""

    id: str | None
    reason: str | None


class TileRun(BaseModel):
    """How a run went for a tile."""

    tile: str
    status: str
    message: str | None
    observed_share: float | None
    bytes_read: int | None
    seconds: float | None
    scenes_read: int
    scenes_left_out: list[SceneLeftOut]


class RunTold(BaseModel):
    """How a run went, as its record says; docs/operations.md describes the fields."""

    name: str = Field(examples=["2026-10_20261102T030000Z"])
    damaged: bool = Field(description="Whether the record cannot be read.")
    command: str | None = None
    month: str | None = None
    exit_code: int | None = None
    exit: str | None = None
    started: str | None = None
    seconds: float | None = None
    alerts: dict[str, int] | None = None
    warnings: list[str] | None = None
    totals: dict[str, Any] | None = None
    tracking_error: str | None = None
    store_error: str | None = None
    pictures_error: str | None = None
    notices_error: str | None = None
    tiles: list[TileRun]


class RuleTold(BaseModel):
    """A criterion of the policy, or a legal point."""

    code: str
    kind: str
    fr: str
    en: str
    explanation_fr: str
    explanation_en: str
    reference: str | None
    unit: str
    threshold: float | None
    source: str | None
    in_force: bool


class RulesTold(BaseModel):
    """The rules in force."""

    version: str
    rules: list[RuleTold]


class Thresholds(BaseModel):
    """Thresholds to try."""

    model_config = ConfigDict(extra="forbid")

    thresholds: dict[Annotated[str, Field(max_length=64)], float] = Field(
        min_length=1, max_length=20, examples=[{"area": 5}]
    )


class AnswerCounts(BaseModel):
    """How many alerts of each answer."""

    yes: int
    no: int
    unknown: int


class NowAndThen(BaseModel):
    """As it is, and as it would be."""

    now: AnswerCounts
    then: AnswerCounts


class ThresholdsTried(BaseModel):
    """What other thresholds would change."""

    alerts: int = Field(description="That were looked at.")
    all: bool = Field(description="Whether these are all that stand.")
    criteria: dict[str, NowAndThen]
    potentially_abusive: NowAndThen
    changed: int = Field(description="Alerts that would be potentially abusive, or no longer be.")
    changed_alerts: list[str] = Field(description="Some of them.")


class ModelTold(BaseModel):
    """A model."""

    id: str = Field(examples=["clearcut-2026.2"])
    shipped: bool
    in_use: bool
    problem: str | None
    made_on: str | None
    summary: str | None = Field(description="What its card says first.")
