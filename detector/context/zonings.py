"""Protected zones that a patch lies in or near, by the dissolved union of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.context.description import NearestZone, Zone
from detector.context.ground import Overlay, Reader, dissolved_share, distances_to, overlay, shares_by, text_of
from detector.outlines import Geometries

#: Layers of each kind of zoning: what is in a ZSC and in a ZPS is in Natura 2000 once.
KINDS: dict[str, tuple[str, ...]] = {
    "natura2000": ("natura2000_zsc", "natura2000_zps"),
    "znieff1": ("znieff1",),
    "znieff2": ("znieff2",),
    "nature_reserves": ("nature_reserves",),
    "appb": ("appb",),
    "national_park_core": ("national_park_core",),
    "ebc": ("ebc",),
}


_SLIVER_HA = 1e-4
"""A square metre: what meets a zone with less lies beside it, and the rest is the rounding of coordinates."""


@dataclass(frozen=True, eq=False)
class _Kind:
    """Zones of one kind around the patches, one a feature; what patches they overlap; which patches are known."""

    layer: NDArray[np.object_]
    code: NDArray[np.object_]
    name: NDArray[np.object_]
    geometry: Geometries
    over: Overlay
    known: NDArray[np.bool_]


def zonings(reader: Reader, near_m: float) -> dict[str, Sequence[Any]]:
    """Fields of `PatchContext` about zones.

    A kind of several layers is known where all of them are: with one alone, the union is not.
    """
    ground, n = reader.ground, len(reader.ground)
    hectares: list[dict[str, float | None]] = [{} for _ in range(n)]
    overlapped: list[list[Zone]] = [[] for _ in range(n)]
    nearest: list[dict[str, NearestZone]] = [{} for _ in range(n)]
    for kind, layers in KINDS.items():
        found = _read(reader, layers, near_m)
        if found is None:
            for one in hectares:
                one[kind] = None
            continue
        share = dissolved_share(ground, found.over)
        for patch in range(n):
            hectares[patch][kind] = float(share[patch] * ground.area_ha[patch]) if found.known[patch] else None
        _add_zones(reader, found, overlapped)
        _add_nearest(reader, kind, found, share == 0, near_m, nearest)
    return {
        "zoning_ha": hectares,
        "zonings": [tuple(zones) for zones in overlapped],
        "nearest_zones": nearest,
    }


def _read(reader: Reader, layers: Sequence[str], near_m: float) -> _Kind | None:
    """The zones of a kind; None where no layer of it speaks of any patch."""
    columns: list[tuple[NDArray[np.object_], ...]] = []
    spoken: list[NDArray[np.bool_]] = []
    all_known = np.ones(len(reader.ground), bool)
    for layer in layers:
        frame, known = reader.vector(layer, ("code", "name"), near_m)
        all_known &= known
        if frame is not None:
            texts = (text_of(frame["code"]), text_of(frame["name"]))
            columns.append((np.full(len(frame), layer, object), *texts, frame.geometry.to_numpy()))
            spoken.append(known)
    if not columns:
        return None
    layer_of, code, name, geometry = (np.concatenate(column) for column in zip(*columns, strict=True))
    source = np.repeat(np.arange(len(columns)), [len(column[0]) for column in columns])
    over = overlay(reader.ground, geometry)
    over = over.only(np.array(spoken)[source[over.feature], over.patch])
    over = over.only(over.share * reader.ground.area_ha[over.patch] >= _SLIVER_HA)
    return _Kind(layer_of, code, name, geometry, over, all_known)


def _add_zones(reader: Reader, found: _Kind, overlapped: list[list[Zone]]) -> None:
    """Add the zones that patches overlap. A zone of several features is one, if they have its code in common."""
    texts = [str(index) if code is None else code for index, code in enumerate(found.code)]
    keys = np.array([f"{layer} {text}" for layer, text in zip(found.layer, texts, strict=True)], object)
    feature_of_key = {key: index for index, key in enumerate(keys)}
    shares = shares_by(reader.ground, found.over, keys[found.over.feature])
    for patch, key, share in zip(shares.patch, shares.label, shares.share, strict=True):
        feature = feature_of_key[key]
        area_ha = float(share * reader.ground.area_ha[patch])
        overlapped[patch].append(Zone(found.layer[feature], found.code[feature], found.name[feature], area_ha))


def _add_nearest(
    reader: Reader,
    kind: str,
    found: _Kind,
    outside: NDArray[np.bool_],
    near_m: float,
    nearest: list[dict[str, NearestZone]],
) -> None:
    rows = distances_to(reader.ground, found.geometry, outside, near_m)
    for patch, feature, distance_m in zip(*rows, strict=True):
        zone = NearestZone(found.layer[feature], found.code[feature], found.name[feature], float(distance_m))
        nearest[patch][kind] = zone
