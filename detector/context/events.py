"""Fires and storms whose mapped ground a patch overlaps, about the time of the cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detector.context.description import Event
from detector.context.ground import Reader, dissolved_share, overlay, text_of
from detector.context.params import ContextParams

_FIELDS = {"burnt_areas": ("burnt_ha", "fires"), "storms": ("storm_ha", "storms")}


def events(reader: Reader, params: ContextParams) -> dict[str, Sequence[Any]]:
    """Fields of `PatchContext` about fires and storms.

    An event without a date cannot be laid to a cut: it is left out.
    """
    fields: dict[str, Sequence[Any]] = {}
    for layer, (hectares_field, events_field) in _FIELDS.items():
        fields[hectares_field], fields[events_field] = _of_layer(reader, layer, params)
    return fields


def _of_layer(reader: Reader, layer: str, params: ContextParams) -> tuple[list[float | None], list[tuple[Event, ...]]]:
    ground = reader.ground
    frame, known = reader.vector(layer, ("code", "name", "date", "end_date"))
    if frame is None:
        return [None] * len(ground), [()] * len(ground)
    codes, names = text_of(frame["code"]), text_of(frame["name"])
    began, ended = _days(frame["date"]), _days(frame["end_date"])
    over = overlay(ground, frame.geometry.to_numpy())
    age = (ground.on[over.patch] - began[over.feature]) / np.timedelta64(1, "D")  # NaN without a date: false below
    near = (age <= params.event_days_before) & (age >= -params.event_days_after)
    over = over.only(known[over.patch] & near)
    share = dissolved_share(ground, over)
    found: list[list[Event]] = [[] for _ in range(len(ground))]
    for patch, feature, part in zip(over.patch, over.feature, over.share, strict=True):
        end = None if np.isnat(ended[feature]) else ended[feature].item()
        area_ha = float(part * ground.area_ha[patch])
        found[patch].append(Event(codes[feature], names[feature], began[feature].item(), end, area_ha))
    hectares = np.where(known, share * ground.area_ha, np.nan)
    ordered = [tuple(sorted(one, key=lambda event: (event.began, -event.area_ha))) for one in found]
    return [None if np.isnan(value) else float(value) for value in hectares], ordered


def _days(column: pd.Series[Any]) -> NDArray[np.datetime64]:
    """Days of a column of dates, whatever they are kept as; NaT where there is none."""
    return np.asarray(pd.to_datetime(column).to_numpy(), "datetime64[D]")
