"""What may be asked of the alerts: one set of filters for the HTTP API, the exports and the command."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from api.store import cql2
from api.store.cql2 import Language
from api.store.literals import is_departement, parse_bbox, parse_interval, parse_moment
from detector.alerts import AlertState, AlertStatus, ReviewState
from tiles.errors import FilterError

_LIST: Final = r"^[^,\x00-\x1f]{1,64}(,[^,\x00-\x1f]{1,64}){0,99}$"


class SortField(StrEnum):
    """What alerts may be ordered by. Unknown numbers come below all that are known."""

    AREA_HA = "area_ha"
    FIRST_LOW = "first_low"
    UPDATED = "updated"
    CLEARCUT_PROBABILITY = "clearcut_probability"
    ABUSE_SCORE = "abuse_score"


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
    wrong = [code for code in text.split(",") if not is_departement(code)]
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
    filter: str | None = Field(
        default=None,
        max_length=max(cql2.LONGEST.values()),
        description="Condition in CQL2 (see queryables), beside the others.",
        examples=["area_ha >= 2 AND departement IN ('40','33')"],
    )
    filter_lang: Language = Field(
        default=Language.TEXT, alias="filter-lang", description="Form of the condition in CQL2."
    )
    sortby: Annotated[str, AfterValidator(_check_sort)] | None = Field(
        default=None, description="Order: a field, `-` before it for the greatest first.", examples=["-area_ha"]
    )

    @model_validator(mode="after")
    def _check_filter(self) -> Self:
        if self.filter is not None:
            # What is asked of one engine can be asked of the other.
            cql2.condition_of(self.filter, self.filter_lang, "sqlite")
        return self

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
        given = self.model_dump(exclude_defaults=True, by_alias=True, mode="json")
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
