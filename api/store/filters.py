"""What may be asked of the alerts: one set of filters for the HTTP API, the exports and the command."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from detector.alerts import AlertState, AlertStatus, ReviewState
from tiles.errors import FilterError

Bbox = tuple[float, float, float, float]
"""West, south, east, north, in degrees; west is greater than east over the antimeridian."""

_DEPARTEMENT = re.compile(r"(?:[0-9][0-9AB]|97[1-6])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LIST: Final = r"^[^,\x00-\x1f]{1,64}(,[^,\x00-\x1f]{1,64}){0,99}$"


class SortField(StrEnum):
    """What alerts may be ordered by. Unknown numbers come below all that are known."""

    AREA_HA = "area_ha"
    FIRST_LOW = "first_low"
    UPDATED = "updated"
    CLEARCUT_PROBABILITY = "clearcut_probability"
    ABUSE_SCORE = "abuse_score"


def parse_bbox(text: str) -> Bbox:
    """A box of four numbers, or of six with heights, which are left aside.

    Raises
    ------
    ValueError
        When it is none.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError("a bbox is four numbers: west,south,east,north in degrees") from None
    if len(numbers) == 6:
        numbers = [*numbers[:2], *numbers[3:5]]
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise ValueError("a bbox is four numbers: west,south,east,north in degrees")
    west, south, east, north = numbers
    if south > north or not (-90 <= south <= 90 and -90 <= north <= 90):
        raise ValueError("a bbox goes from south to north, within -90 and 90 degrees")
    if not (-180 <= west <= 180 and -180 <= east <= 180):
        raise ValueError("a bbox lies within -180 and 180 degrees of longitude")
    return west, south, east, north


def parse_interval(text: str) -> tuple[dt.date | None, dt.date | None]:
    """Days of an instant or an interval of RFC 3339: ``2026-10-01``, ``2026-10-01/..``; None is open.

    Raises
    ------
    ValueError
        When it is none.
    """
    parts = text.split("/")
    if len(parts) == 1:
        day = _day(parts[0])
        return day, day
    if len(parts) != 2 or all(part in ("", "..") for part in parts):
        raise ValueError("a datetime is a day, a moment, or an interval such as 2026-10-01/2026-10-31 or 2026-10-01/..")
    first, last = (None if part in ("", "..") else _day(part) for part in parts)
    if first is not None and last is not None and first > last:
        raise ValueError("an interval begins before it ends")
    return first, last


def _day(text: str) -> dt.date:
    try:
        if _DATE.fullmatch(text):
            return dt.date.fromisoformat(text)
        return parse_moment(text).date()
    except (ValueError, OverflowError):
        raise ValueError("a datetime is a day such as 2026-10-01, or a moment such as 2026-10-01T00:00:00Z") from None


def parse_moment(text: str) -> dt.datetime:
    """A moment of RFC 3339, or a day's beginning, in UTC.

    Raises
    ------
    ValueError
        When it is neither.
    """
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            if not _DATE.fullmatch(text):
                raise ValueError("no zone")
            moment = moment.replace(tzinfo=dt.UTC)
        return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise ValueError("a moment is such as 2026-10-01T00:00:00Z, or a day") from None


def _check_bbox(text: str) -> str:
    parse_bbox(text)
    return text


def _check_interval(text: str) -> str:
    parse_interval(text)
    return text


def _check_moment(text: str) -> str:
    parse_moment(text)
    return text


def _check_departements(text: str) -> str:
    wrong = [code for code in text.split(",") if not _DEPARTEMENT.fullmatch(code)]
    if wrong:
        raise ValueError("a département is a code such as 40, 2A or 971; several are separated by commas")
    return text


def _check_sort(text: str) -> str:
    if text.lstrip("+-") not in set(SortField) or text[:2] in ("--", "++", "+-", "-+"):
        raise ValueError(f"alerts are sorted by {', '.join(SortField)}, with - before it for the greatest first")
    return text


class AlertFilter(BaseModel):
    """Which alerts are asked for; what is not given does not matter.

    Alerts that were closed are left out unless `status` asks for them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_max_length=2000)

    bbox: Annotated[str, AfterValidator(_check_bbox)] | None = Field(
        default=None,
        description="Box that the outline meets: west,south,east,north in degrees.",
        examples=["-1.5,43.4,0.2,44.6"],
    )
    datetime: Annotated[str, AfterValidator(_check_interval)] | None = Field(
        default=None,
        description="Day, moment or interval (RFC 3339) that meets the interval in which the forest was lost "
        "(`last_intact` to `first_low`).",
        examples=["2026-01-01/.."],
    )
    departement: Annotated[str, Field(pattern=_LIST), AfterValidator(_check_departements)] | None = Field(
        default=None, description="Codes of départements.", examples=["40,33"]
    )
    commune: str | None = Field(
        default=None, pattern=_LIST, description="INSEE codes or names of communes.", examples=["40088"]
    )
    tile: str | None = Field(default=None, pattern=_LIST, description="Names of tiles.", examples=["30TXP"])
    state: AlertState | None = Field(default=None, description="How sure the imagery is.")
    status: AlertStatus | None = Field(default=None, description="Where it stands in its life.")
    review: ReviewState | None = Field(default=None, description="What a person decided.")
    cause: str | None = Field(
        default=None, pattern=r"^[a-z_]{1,16}$", description="What took the forest.", examples=["harvest"]
    )
    criterion: str | None = Field(
        default=None,
        pattern=r"^[\w.:-]{1,64}$",
        description="Code of a criterion that is met.",
        examples=["natura2000"],
    )
    min_area_ha: float | None = Field(default=None, ge=0, le=1e6, description="Hectares at least.")
    max_area_ha: float | None = Field(default=None, ge=0, le=1e6, description="Hectares at most.")
    min_probability: float | None = Field(default=None, ge=0, le=1, description="Probability of a clear-cut at least.")
    potentially_abusive: bool | None = Field(default=None, description="What the policy's criteria say.")
    updated_since: Annotated[str, AfterValidator(_check_moment)] | None = Field(
        default=None,
        description="Moment since which the store's alert has changed.",
        examples=["2026-11-01T00:00:00Z", "2026-11-01"],
    )
    sortby: Annotated[str, AfterValidator(_check_sort)] | None = Field(
        default=None, description="Order: a field, `-` before it for the greatest first.", examples=["-area_ha"]
    )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> AlertFilter:
        """A filter of values by name.

        Raises
        ------
        tiles.errors.FilterError
            When one will not do.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise FilterError(sentence_of(error.errors(include_url=False))) from None

    def asked(self) -> dict[str, str]:
        """What was given, by name, as text."""
        given = self.model_dump(exclude_none=True, mode="json")
        return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}


def sentence_of(errors: list[Any]) -> str:
    """What pydantic found, as a sentence; what was given is not repeated."""
    first = errors[0]
    # What follows names the branches that were tried, which nobody asked about.
    where = next((str(part) for part in first["loc"] if part not in ("query", "path", "body", "header")), "The request")
    if first["type"] == "extra_forbidden":
        return f"{where} is no parameter of this: see its list in the API's description."
    reason = str(first["msg"]).removeprefix("Value error, ")
    return f"{where} will not do: {reason[:1].lower()}{reason[1:]}."
